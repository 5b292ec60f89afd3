import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import type { ProviderSpec } from "../../../src/router/models/Catalog.ts"
import { standardTimeouts } from "../../../src/router/models/TimeoutsReading.ts"
import { makeOpenAiProvider } from "../../../src/router/providers/OpenAiProvider.ts"
import { callOf } from "../support/Calls.ts"
import {
  answering,
  completion,
  delta,
  events,
  type Script,
  streaming,
  type Upstream,
  upstream,
  usageChunk
} from "../support/Upstream.ts"

const secret = "sk-very-secret"
const specOf = (baseUrl: string, timeouts = standardTimeouts): ProviderSpec => ({
  name: "p",
  kind: "openai-compatible",
  baseUrl,
  apiKeyVariable: "KEY",
  tokenLimit: "max_tokens",
  timeouts
})
const providerOf = ({ baseUrl }: Pick<Upstream, "baseUrl">) =>
  makeOpenAiProvider(specOf(baseUrl), Option.some(Redacted.make(secret)))

const choice = (index: number, content: string, finish_reason: string | null) =>
  JSON.stringify({ choices: [{ index, delta: { content }, finish_reason }] })

/** How Google says that a key is none: by the status of a request that it does not take. */
const keyError = {
  error: {
    code: 400,
    message: `API key not valid: ${secret}`,
    status: "INVALID_ARGUMENT",
    details: [
      { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "API_KEY_INVALID", domain: "googleapis.com" },
      { "@type": "type.googleapis.com/google.rpc.LocalizedMessage", locale: "en-US", message: secret }
    ]
  }
}

/** Deeper than `JSON.stringify` can go. */
const deep = "[".repeat(9_000) + "]".repeat(9_000)

const wordsFrom = (script: Script) =>
  Effect.gen(function* () {
    const provider = yield* providerOf(yield* upstream(script))
    return Chunk.toReadonlyArray(yield* Stream.runCollect(provider.stream(callOf("hi"))))
  })
const failureFrom = (script: Script, stream = true) =>
  Effect.gen(function* () {
    const provider = yield* providerOf(yield* upstream(script))
    return yield* Effect.flip(
      stream ? Stream.runDrain(provider.stream(callOf("hi"))) : Effect.asVoid(provider.complete(callOf("hi")))
    )
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

  it.scopedLive("reads a reason to end that no table would take as one that it does", () =>
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

  const failures: ReadonlyArray<readonly [string, Script, string, string]> = [
    ["a stream that was cut", streaming(events(delta("a"))), "broken", "hung up in the middle"],
    [
      "one that was cut, with empty reasons to end",
      streaming(events(delta("a", ""))),
      "broken",
      "hung up in the middle"
    ],
    [
      "a piece too deep to pass on",
      streaming(events(`{"choices":[{"delta":${deep}}]}`)),
      "broken",
      "no chat completion"
    ],
    [
      "one that was cut when one of its two choices had ended",
      streaming(events(choice(0, "a", null), choice(1, "b", null), choice(0, "", "stop"))),
      "broken",
      "hung up in the middle"
    ],
    [
      "an error in the stream",
      streaming(events(delta("a"), `{"error":{"message":"${secret}"}}`)),
      "broken",
      "in the middle"
    ],
    ["a stream without a choice", streaming(events(usageChunk, "[DONE]")), "empty", "without a choice"],
    [
      "one that leaves the choices out",
      streaming(events('{"object":"chat.completion.chunk"}', "[DONE]")),
      "empty",
      "without a choice"
    ],
    ["one without a choice that was cut", streaming(events(usageChunk)), "broken", "hung up in the middle"],
    ["an error by event name", streaming(`event: error\ndata: ${secret}\n\n`), "broken", "in the middle"],
    ["a stream of something else", streaming(events("hello")), "broken", "no chat completion"],
    ["JSON for a stream", answering(200, { error: { message: secret } }), "broken", "no event stream"],
    ["a refused key", answering(401, { error: { message: `bad key ${secret}` } }), "misconfigured", "status 401"],
    ["a forbidden model", answering(403, secret), "misconfigured", "status 403"],
    ["an unknown model", answering(404, secret), "misconfigured", "does not know the model"],
    ["too many requests", answering(429, secret, { "retry-after": "7" }), "busy", "fewer requests"],
    ["a request that it refuses", answering(400, secret), "rejected", "does not take this request"],
    ["a key that Google refuses", answering(400, keyError), "misconfigured", "our credentials (status 400)"],
    ["the same by its OpenAI endpoint", answering(400, [keyError]), "misconfigured", "our credentials (status 400)"],
    ["a request that Google refuses", answering(400, [{ error: { details: [7] } }]), "rejected", "this request"],
    [
      "a refusal longer than anybody reads",
      answering(400, [keyError, "x".repeat(100_000)]),
      "rejected",
      "this request"
    ],
    ["a refusal without end", (_, response) => response.writeHead(400).write("["), "rejected", "this request"],
    ["an error of its own", answering(500, secret), "broken", "status 500"],
    ["a gateway's timeout", answering(504, secret), "timed_out", "in time"],
    ["a redirect", answering(302, secret, { location: "http://127.0.0.1:1/" }), "broken", "status 302"],
    ["a reset", (_, response) => response.destroy(), "unreachable", "UND_ERR_SOCKET"]
  ]
  for (const [what, script, kind, reason] of failures) {
    it.scopedLive(`${what}: ${kind}, in our own words`, () =>
      Effect.gen(function* () {
        const failure = yield* failureFrom(script)
        expect(failure.kind).toBe(kind)
        expect(failure.message).toContain(reason)
        expect(JSON.stringify(failure) + failure.message).not.toContain(secret)
      })
    )
  }

  for (const [what, body, kind] of [
    ["text", "hello", "broken"],
    ["an error with status 200", { error: { message: secret } }, "broken"],
    ["an answer of another kind", { object: "list", data: [] }, "broken"],
    ["an answer without choices", { choices: [] }, "empty"],
    ["an answer that leaves the choices out", { object: "chat.completion", usage: {} }, "empty"],
    ["an answer too deep to pass on", `{"choices":[{"message":${deep}}]}`, "broken"]
  ] as const) {
    it.scopedLive(`${what} where a completion should be: ${kind}`, () =>
      Effect.gen(function* () {
        const failure = yield* failureFrom(answering(200, body), false)
        expect(failure).toMatchObject({ kind })
        expect(failure.message).not.toContain(secret)
      })
    )
  }

  it.scopedLive("nobody listens: unreachable", () =>
    Effect.gen(function* () {
      const provider = yield* providerOf({ baseUrl: "http://127.0.0.1:1/v1" })
      const failure = yield* Effect.flip(provider.complete(callOf("hi")))
      expect(failure).toMatchObject({ kind: "unreachable" })
      expect(failure.message).toContain("ECONNREFUSED")
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
      }).pipe(Effect.timeout("5 seconds"))
    )
  }
})
