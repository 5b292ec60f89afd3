import * as Duration from "effect/Duration"
import { type ProviderSpec, standardTimeouts } from "../../../../src/router/models/Catalog.ts"
import { delta, events, type Script } from "../Upstream.ts"

/** What a client must read of an answer. */
export interface ExpectedAnswer {
  readonly content?: string | null
  readonly calls?: ReadonlyArray<readonly [name: string, args: unknown]>
  readonly finish_reason?: string
  /** Prompt and completion tokens. */
  readonly usage?: readonly [number, number] | undefined
  /** Members beside the choices. */
  readonly more?: Readonly<Record<string, unknown>>
  /** A text of the JSON of the answer, and one that is not. */
  readonly contains?: string
  readonly lacks?: string
}

export interface ExpectedRefusal {
  readonly kind: string
  /** What the client gets. */
  readonly code: string
  readonly shouldRetry?: "true" | "false"
}

/** How a provider behaves, and what its client gets: in both forms of an answer, or in one. */
export interface Behaviour {
  readonly title: string
  readonly whole?: Script
  readonly stream?: Script
  readonly spec?: Partial<ProviderSpec>
  /** Of the request. */
  readonly fields?: Readonly<Record<string, unknown>>
  readonly expected: ExpectedAnswer | ExpectedRefusal
}

export const chunk = (fields: object) => JSON.stringify({ object: "chat.completion.chunk", ...fields })

export const piece = (delta: object | null, finish_reason: string | null = null, fields: object = {}) =>
  chunk({ choices: [{ index: 0, delta, finish_reason }], ...fields })

export const called = (fields: object, ...others: ReadonlyArray<object>) => piece({ tool_calls: [fields, ...others] })

export const call = (id: string | undefined, city: string, fields: object = {}) => ({
  ...(id === undefined ? {} : { id }),
  type: "function",
  function: { name: "weather", arguments: JSON.stringify({ city }) },
  ...fields
})

/** Sends each text as an event stream, in one write each, with pauses. */
export const paced =
  (millis: number, ...texts: ReadonlyArray<string>): Script =>
  (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" })
    const send = (i: number) => {
      const text = texts[i]
      if (text === undefined) return void response.end()
      response.write(text)
      setTimeout(send, millis, i + 1)
    }
    send(0)
  }

export const streams = (...data: ReadonlyArray<string>): Script => paced(1, events(...data))

/** Sends these bytes, and leaves the connection open. */
export const left =
  (text: string): Script =>
  (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" })
    response.write(text)
  }

export const message = (fields: object, finish_reason: string | null = "stop", more: object = {}) => ({
  object: "chat.completion",
  choices: [{ index: 0, message: { role: "assistant", content: null, ...fields }, finish_reason }],
  ...more
})

export const hi = "hello there"
export const hello: ExpectedAnswer = { content: hi, finish_reason: "stop" }
export const spoken = [delta("hello"), delta(" there", "stop"), "[DONE]"]
export const brief = { ...standardTimeouts, firstByte: Duration.millis(400), idle: Duration.millis(400) }
export const keptAlive = Array<string>(12).fill(": keep-alive\n\n")
