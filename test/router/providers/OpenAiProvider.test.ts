import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { makeOpenAiProvider } from "../../../src/router/providers/OpenAiProvider.ts"
import { callOf } from "../../support/router/Calls.ts"
import { choice, providerOf, secret, specOf } from "../../support/router/OpenAi.ts"
import {
  answering,
  completion,
  delta,
  events,
  type Script,
  streaming,
  upstream,
  usageChunk
} from "../../support/router/Upstream.ts"

const wordsFrom = (script: Script) =>
  Effect.gen(function* () {
    const provider = yield* providerOf(yield* upstream(script))
    return Chunk.toReadonlyArray(yield* Stream.runCollect(provider.stream(callOf("hi"))))
  })

describe("the OpenAI-compatible provider", () => {
  it.scopedLive("sends the whole conversation, the limits and its key, and asks for the usage", () =>
    Effect.gen(function* () {
      const server = yield* upstream(streaming(events(delta("a"), delta("b", "stop"), usageChunk, "[DONE]")))
      const provider = yield* providerOf(server)
      const parts = Chunk.toReadonlyArray(yield* Stream.runCollect(provider.stream(callOf("hi", { max_tokens: 9 }))))
      expect(parts.map(({ text }) => text).join("")).toBe("ab")
      expect(parts.at(-1)?.usage).toMatchObject({ promptTokens: 7, completionTokens: 2 })
      expect(server.requests[0]?.headers.authorization).toBe(`Bearer ${secret}`)
      expect(server.requests[0]?.headers["traceparent"]).toBeUndefined()
      expect(server.requests[0]?.body).toMatchObject({
        model: "upstream-name",
        max_tokens: 9,
        stream: true,
        stream_options: { include_usage: true },
        messages: [
          { role: "system", content: "be brief" },
          { role: "user", content: "hi" }
        ]
      })
    })
  )

  for (const tokenLimit of ["max_tokens", "max_completion_tokens"] as const) {
    it.scopedLive(
      `tells the limit in ${tokenLimit} alone where that is what the provider takes, whichever was given`,
      () =>
        Effect.gen(function* () {
          const server = yield* upstream(answering(200, completion("hello")))
          const spec = { ...specOf(server.baseUrl), tokenLimit }
          const provider = yield* makeOpenAiProvider(spec, Option.none())
          for (const fields of [
            { max_tokens: 9 },
            { max_completion_tokens: 9 },
            { max_tokens: 5, max_completion_tokens: 9 }
          ])
            yield* provider.complete(callOf("hi", fields))
          const limits = server.requests.map(({ body: { max_completion_tokens, max_tokens } }) => ({
            max_completion_tokens,
            max_tokens
          }))
          const none = { max_completion_tokens: undefined, max_tokens: undefined }
          expect(limits).toEqual(Array(3).fill({ ...none, [tokenLimit]: 9 }))
        })
    )
  }

  it.scopedLive("puts no header of the call or the answer into its span", () =>
    Effect.gen(function* () {
      const provider = yield* providerOf(
        yield* upstream(answering(200, completion("hello"), { "x-organization": "house" }))
      )
      const attributes: Array<string> = []
      const native = yield* Effect.tracer
      const tracer = Tracer.make({
        context: native.context,
        span: (name, parent, context, links, time, kind, options) => {
          const span = native.span(name, parent, context, links, time, kind, options)
          const attribute = span.attribute.bind(span)
          return Object.assign(span, {
            attribute: (key: string, value: unknown) => {
              attributes.push(key)
              attribute(key, value)
            }
          })
        }
      })
      yield* provider.complete(callOf("hi")).pipe(Effect.withTracer(tracer))
      expect(attributes).toEqual(["provider", "model"])
    })
  )

  it.scopedLive("reads an answer that is not streamed", () =>
    Effect.gen(function* () {
      const provider = yield* providerOf(yield* upstream(answering(200, completion("hello"))))
      expect(yield* provider.complete(callOf("hi"))).toMatchObject({ text: "hello", finishReason: "stop" })
    })
  )

  it.scopedLive("takes a piece that leaves the choices out, as Gemini's last, for one that has none", () =>
    Effect.gen(function* () {
      const last = JSON.stringify({ ...JSON.parse(usageChunk), choices: undefined })
      const parts = yield* wordsFrom(streaming(events(delta("a", "stop"), last, "[DONE]")))
      expect(parts.at(-1)).toMatchObject({ choices: [], usage: { promptTokens: 7 } })
    })
  )

  it.scopedLive("takes a stream of two choices that have both ended, without [DONE]", () =>
    Effect.gen(function* () {
      const both = [choice(0, "a", null), choice(1, "b", "stop"), choice(0, "", "length"), choice(0, "", null)]
      expect(yield* wordsFrom(streaming(events(...both)))).toHaveLength(4)
    })
  )

  it.scopedLive("a finish reason that the table would refuse is made storable", () =>
    Effect.gen(function* () {
      const odd = "\u0000\ud800".padEnd(60, "x")
      const parts = yield* wordsFrom(streaming(events(delta("a", ""), delta("", odd), "[DONE]")))
      expect(parts.map(({ finishReason }) => finishReason)).toEqual([undefined, "\ufffd\ufffd".padEnd(50, "x")])
    })
  )

  it.scopedLive("takes a stream with comments, carriage returns and without [DONE], sent byte by byte", () =>
    Effect.gen(function* () {
      const text = `: keep-alive\r\n\r\ndata: ${delta("ä€")}\r\n\r\ndata: ${delta("", "stop")}\r\n\r\n`
      const parts = yield* wordsFrom((_, response) => {
        response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" })
        for (const byte of Buffer.from(text)) response.write(Uint8Array.of(byte))
        response.end()
      })
      expect(parts.map((part) => part.text).join("")).toBe("ä€")
    })
  )

  for (const stream of [true, false]) {
    it.scopedLive(`ends the call at the other side when it is interrupted (${stream ? "stream" : "whole"})`, () =>
      Effect.gen(function* () {
        const server = yield* upstream((_, response) => {
          if (!stream) return
          response.writeHead(200, { "content-type": "text/event-stream" })
          response.write(events(delta("a")))
        })
        const provider = yield* providerOf(server)
        const call = callOf("hi")
        const fiber = yield* Effect.fork(stream ? Stream.runDrain(provider.stream(call)) : provider.complete(call))
        while (server.requests.length === 0) yield* Effect.sleep("5 millis")
        yield* Effect.sleep("50 millis")
        yield* Fiber.interrupt(fiber)
        while (server.hangUps() === 0) yield* Effect.sleep("5 millis")
        expect(server.hangUps()).toBe(1)
      }).pipe(Effect.timeout("20 seconds"))
    )
  }
})
