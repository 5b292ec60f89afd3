import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { makeEchoProvider } from "../../../src/router/providers/EchoProvider.ts"
import { callOf } from "../../support/router/Calls.ts"

const echo = makeEchoProvider("echo")
const pieces = (model: string, question: string, fields = {}) =>
  Effect.map(Stream.runCollect(echo.stream(callOf(question, fields, model))), Chunk.toReadonlyArray)

describe("echo", () => {
  it.effect("the echo repeats the question, word by word, and counts them", () =>
    Effect.gen(function* () {
      const parts = yield* pieces("echo", "to be  or\nnot")
      expect(parts.map(({ text }) => text)).toEqual(["", "to", " be", "  or", "\nnot", "", ""])
      expect(parts.at(-2)?.finishReason).toBe("stop")
      expect(parts.at(-1)?.usage?.raw).toEqual({ prompt_tokens: 6, completion_tokens: 4, total_tokens: 10 })
    })
  )

  it.effect("a question of spaces alone does not block the process", () =>
    Effect.gen(function* () {
      const start = process.cpuUsage()
      const parts = yield* pieces("echo", `to${" ".repeat(200_000)}`)
      expect(parts.map(({ text }) => text).join("")).toBe("to")
      expect(process.cpuUsage(start).user).toBeLessThan(1_000_000)
    })
  )

  it.effect("says the same whole", () =>
    Effect.gen(function* () {
      const { choices, text } = yield* echo.complete(callOf("to be or", {}, "echo"))
      expect(text).toBe("to be or")
      expect(choices).toMatchObject([{ message: { role: "assistant", content: "to be or" }, finish_reason: "stop" }])
    })
  )

  it.effect("a question of a megabyte of words does not block the process", () =>
    Effect.gen(function* () {
      const call = callOf("a ".repeat(500_000), { max_tokens: 1_000_000 }, "echo")
      const start = process.cpuUsage()
      expect((yield* echo.complete(call)).usage).toMatchObject({ completionTokens: 500_000, promptTokens: 500_002 })
      expect(process.cpuUsage(start).user).toBeLessThan(1_500_000)
    })
  )

  it.effect("the echo is the same, complete and streamed, for any question and limit", () =>
    Effect.gen(function* () {
      const texts = FastCheck.array(FastCheck.constantFrom("a", "bc", " ", "\n\t", "\u00a0", "ä"), { maxLength: 20 })
      const cases = FastCheck.sample(FastCheck.tuple(texts, FastCheck.integer({ min: 1, max: 12 })), {
        numRuns: 100,
        seed: 5
      })
      for (const [words, max_tokens] of cases) {
        const question = words.join("")
        const parts = yield* pieces("echo", question, { max_tokens })
        const whole = yield* echo.complete(callOf(question, { max_tokens }, "echo"))
        expect(whole.text).toBe(parts.map(({ text }) => text).join(""))
        expect([whole.finishReason, whole.usage]).toEqual([parts.at(-2)?.finishReason, parts.at(-1)?.usage])
      }
    })
  )

  it.effect("an endless echo is streamed, not collected", () =>
    Effect.gen(function* () {
      const endless = callOf("a b", { max_tokens: 10 }, "echo-endless")
      expect(yield* Effect.flip(echo.complete(endless))).toMatchObject({ kind: "rejected" })
    })
  )

  it.effect("the echo stops at max_tokens with finish reason length", () =>
    Effect.gen(function* () {
      const parts = yield* pieces("echo", "a b c d", { max_tokens: 2 })
      expect(parts.map(({ text }) => text).join("")).toBe("a b")
      expect(parts.at(-2)?.finishReason).toBe("length")
      expect((yield* pieces("echo-endless", "a b", { max_tokens: 5 })).map(({ text }) => text).join("")).toBe(
        "a b a b a"
      )
    })
  )

  it.effect("echo-slow pauses between words", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.fork(pieces("echo-slow", "a b c"))
      yield* TestClock.adjust("590 millis")
      expect(Option.isNone(yield* Fiber.poll(fiber))).toBe(true)
      yield* TestClock.adjust("10 millis")
      expect(Exit.isSuccess(yield* Fiber.await(fiber))).toBe(true)
    })
  )

  for (const [model, before] of [
    ["echo-fails-before", 0],
    ["echo-fails-after", 3]
  ] as const) {
    it.effect(`${model} fails after ${before} pieces`, () =>
      Effect.gen(function* () {
        const seen: Array<string> = []
        const run = Stream.runForEach(echo.stream(callOf("a b c d", {}, model)), ({ text }) =>
          Effect.sync(() => seen.push(text))
        )
        expect(yield* Effect.flip(run)).toMatchObject({ kind: "broken" })
        expect(seen).toHaveLength(before)
      })
    )
  }

  it.effect("echo-hangs never answers, echo-busy refuses, and the error of an unknown name lists the known ones", () =>
    Effect.gen(function* () {
      const waiting = yield* Effect.fork(Effect.timeoutOption(pieces("echo-hangs", "a"), "1 hour"))
      yield* TestClock.adjust(Duration.hours(1))
      expect(Option.isNone(yield* Fiber.join(waiting))).toBe(true)
      expect(yield* Effect.flip(pieces("echo-busy", "a"))).toMatchObject({ kind: "busy" })
      expect((yield* Effect.flip(pieces("gpt-9", "a"))).message).toContain("echo-slow")
    })
  )
})
