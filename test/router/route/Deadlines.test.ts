import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { standardTimeouts } from "../../../src/router/models/Catalog.ts"
import { makePart } from "../../../src/router/protocol/ChatPart.ts"
import { makeOpenAiProvider } from "../../../src/router/providers/OpenAiProvider.ts"
import { beginInTime, completeInTime } from "../../../src/router/route/Attempt.ts"
import { callOf } from "../../support/router/Calls.ts"
import { specOf } from "../../support/router/OpenAi.ts"
import { delta, events, type Script, type Upstream, upstream, usageChunk } from "../../support/router/Upstream.ts"

const providerOf = ({ baseUrl }: Upstream) => makeOpenAiProvider(specOf(baseUrl), Option.none())

describe("deadlines", () => {
  const brief = { ...standardTimeouts, firstByte: Duration.millis(100), idle: Duration.millis(100) }
  const open = (_: unknown, response: Parameters<Script>[1]) =>
    response.writeHead(200, { "content-type": "text/event-stream" })

  it.scopedLive("a stream that does not begin times out, and its connection is closed", () =>
    Effect.gen(function* () {
      const server = yield* upstream((_, response) => void open(_, response).flushHeaders())
      const provider = yield* providerOf(server)
      const failure = yield* Effect.flip(Effect.scoped(beginInTime("p", brief, provider.stream(callOf("hi")))))
      expect(failure).toMatchObject({ kind: "timed_out" })
      expect(failure.message).toContain("did not begin to answer within 100ms")
      while (server.hangUps() === 0) yield* Effect.sleep("5 millis")
    }).pipe(Effect.timeout("20 seconds"))
  )

  it.scopedLive("a stream that stops times out", () =>
    Effect.gen(function* () {
      const provider = yield* providerOf(
        yield* upstream((_, response) => void open(_, response).write(events(delta("a"))))
      )
      const timeouts = { ...brief, firstByte: standardTimeouts.firstByte }
      const { first, rest } = yield* beginInTime("p", timeouts, provider.stream(callOf("hi")))
      expect(Chunk.size(first)).toBe(1)
      expect((yield* Effect.flip(Stream.runDrain(rest))).message).toContain("sent nothing more within 100ms")
    })
  )

  it.scopedLive("a stream is at its end when as many choices have ended as the request asks for", () =>
    Effect.gen(function* () {
      const chunk = (index: number) => JSON.stringify({ choices: [{ index, delta: {}, finish_reason: "stop" }] })
      const server = yield* upstream((_, response) => void open(_, response).end(events(chunk(0), chunk(1), "[DONE]")))
      const provider = yield* providerOf(server)
      const parts = yield* Stream.runCollect(provider.stream(callOf("hi", { n: 2 })))
      expect([...parts].map(({ isEnd }) => isEnd)).toEqual([false, true])
    })
  )

  it.scopedLive("a stream that never ends times out", () =>
    Effect.gen(function* () {
      const server = yield* upstream((_, response) => {
        open(_, response)
        const timer = setInterval(() => response.write(events(delta("a"))), 20)
        response.once("close", () => clearInterval(timer))
      })
      const provider = yield* providerOf(server)
      const timeouts = { ...standardTimeouts, total: Duration.millis(300) }
      const { rest } = yield* beginInTime("p", timeouts, provider.stream(callOf("hi")))
      expect((yield* Effect.flip(Stream.runDrain(rest))).message).toContain("was not done within 300ms")
    })
  )

  it.scopedLive("a stream of comments alone is alive until the total deadline", () =>
    Effect.gen(function* () {
      const server = yield* upstream((_, response) => {
        open(_, response)
        const timer = setInterval(() => response.write(": wait\n\n"), 20)
        response.once("close", () => clearInterval(timer))
      })
      const provider = yield* providerOf(server)
      const timeouts = { ...standardTimeouts, firstByte: Duration.seconds(3), total: Duration.seconds(4) }
      const failure = yield* Effect.flip(beginInTime("p", timeouts, provider.stream(callOf("hi"))))
      expect(failure.message).toContain("was not done within 4s")
    })
  )

  it.scopedLive("a part without a choice does not begin a stream: a stream of nothing else times out", () =>
    Effect.gen(function* () {
      const server = yield* upstream((_, response) => {
        open(_, response)
        const timer = setInterval(() => response.write(events(usageChunk)), 20)
        response.once("close", () => clearInterval(timer))
      })
      const provider = yield* providerOf(server)
      const failure = yield* Effect.flip(beginInTime("p", brief, provider.stream(callOf("hi"))))
      expect(failure.message).toContain("did not begin to answer within 100ms")
    })
  )

  it.scopedLive("no deadline runs while the client does not read", () =>
    Effect.gen(function* () {
      const provider = yield* providerOf(
        yield* upstream((_, response) => {
          open(_, response).write(events(delta("a")))
          setTimeout(() => response.end(events(delta("b", "stop"), "[DONE]")), 1_500)
        })
      )
      const timeouts = { ...standardTimeouts, total: Duration.seconds(1) }
      const { rest } = yield* beginInTime("p", timeouts, provider.stream(callOf("hi")))
      yield* Effect.sleep("1300 millis")
      yield* Stream.runDrain(rest)
    })
  )

  it.scoped("parts before the first word are held up to a number of characters", () =>
    Effect.gen(function* () {
      const silent = makePart("delta", [{ index: 0, delta: { role: "a".repeat(400_000) }, finish_reason: null }])
      const word = makePart("delta", [{ index: 0, delta: { content: "a" }, finish_reason: null }])
      const parts = Stream.rechunk(Stream.make(silent, silent, silent, silent, word), 1)
      const { first } = yield* beginInTime("p", standardTimeouts, parts)
      expect([...first]).toEqual([silent, silent, word])
    })
  )

  it.scopedLive("an answer that is not streamed has one deadline", () =>
    Effect.gen(function* () {
      const provider = yield* providerOf(yield* upstream(() => {}))
      const timeouts = { ...brief, total: Duration.millis(100) }
      const failure = yield* Effect.flip(completeInTime("p", timeouts, provider.complete(callOf("hi"))))
      expect(failure.message).toContain("did not answer within 100ms")
    })
  )
})
