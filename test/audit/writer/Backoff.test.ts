import { expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as WriteQueue from "../../../src/audit/queue/WriteQueue.ts"
import * as Backoff from "../../../src/audit/writer/Backoff.ts"

const settle = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow(), { discard: true })

const opened = Effect.gen(function* () {
  const queue = yield* WriteQueue.make({ capacity: 10, batchSize: 10, linger: 0 })
  return { queue, pauses: yield* Backoff.make(queue) }
})

/** Milliseconds that it takes, to a resolution of 5; at most 10 seconds. */
const lengthOf = Effect.fnUntraced(function* (pause: Effect.Effect<void>) {
  const fiber = yield* Effect.fork(pause)
  for (let millis = 0; millis <= 10_000; millis += 5) {
    yield* settle
    if ((yield* Fiber.poll(fiber))._tag === "Some") return millis
    yield* TestClock.adjust("5 millis")
  }
  return Number.POSITIVE_INFINITY
})

it.effect("growing pauses double up to the longest, and are short again after a success", () =>
  Effect.gen(function* () {
    const { pauses } = yield* opened
    const lengths: Array<number> = []
    for (let time = 0; time < 6; time++) lengths.push(yield* lengthOf(pauses.growing(Duration.millis(400))))
    expect(lengths.every((length, time) => length <= Math.min(50 * 2 ** time, 400) + 5)).toBe(true)
    expect(lengths.every((length, time) => length >= Math.min(50 * 2 ** time, 400) / 2)).toBe(true)
    pauses.reset()
    expect(yield* lengthOf(pauses.growing(Duration.millis(400)))).toBeLessThanOrEqual(55)
  })
)

it.effect("closing the queue cuts a long pause short, and later pauses are short", () =>
  Effect.gen(function* () {
    const { queue, pauses } = yield* opened
    const long = yield* Effect.fork(pauses.pause(Duration.seconds(5)))
    yield* settle
    yield* queue.close
    yield* settle
    expect((yield* Fiber.poll(long))._tag).toBe("Some")
    expect(yield* lengthOf(pauses.pause(Duration.seconds(5)))).toBe(100)
    expect(yield* lengthOf(pauses.pause(Duration.millis(20)))).toBe(20)
  })
)

it.effect("giving up ends every pause", () =>
  Effect.gen(function* () {
    const { pauses } = yield* opened
    yield* pauses.giveUp
    expect(pauses.gaveUp()).toBe(true)
    expect(yield* lengthOf(pauses.pause(Duration.seconds(5)))).toBe(0)
    expect(yield* lengthOf(pauses.orGivenUp(Effect.never))).toBe(0)
  })
)
