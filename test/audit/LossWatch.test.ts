import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import type { Recorder } from "../../src/audit/queue/Recorder.ts"
import * as WriteQueue from "../../src/audit/queue/WriteQueue.ts"
import * as Losses from "../../src/audit/recovery/Losses.ts"

const recorder = { incarnation: { source: "s", startedAt: 0 } } as Recorder

/** A buffer that passed three events over among its first thirty, and the accounts that are asked for. */
const watched = Effect.gen(function* () {
  const at = { settled: 0 }
  const buffer: WriteQueue.WriteQueue = {
    ...(yield* WriteQueue.make({ capacity: 10, batchSize: 10, linger: 0 })),
    unreadableCount: () => 3,
    unreadableUpTo: () => 22,
    settledUpTo: () => at.settled
  }
  const asked: Array<{ readonly upTo: number; readonly passedOver: number }> = []
  const losses: Losses.LossAccounts = {
    receipt: () => Effect.succeed(0),
    receiptShed: Effect.void,
    settleAccount: ({ passedOver, upTo }) =>
      Effect.sync(() => {
        asked.push({ upTo, passedOver })
        return { quarantined: passedOver }
      })
  }
  return { asked, at, watch: Losses.watch(losses, { buffer, recorder }) }
})

it.effect("what was passed over above the account's last number has its place in a later one", () =>
  Effect.gen(function* () {
    const { asked, at, watch } = yield* watched
    yield* Effect.fork(watch.run)
    at.settled = 10
    yield* TestClock.adjust("61 seconds")
    expect(asked).toEqual([{ upTo: 10, passedOver: 0 }])
    expect(watch.quarantined()).toBe(3)
    at.settled = 30
    yield* TestClock.adjust("61 seconds")
    expect(asked.at(-1)).toEqual({ upTo: 30, passedOver: 3 })
    expect(watch.quarantined()).toBe(3)
  })
)

it.effect("the end looks once more where something has no place yet, and not where all has", () =>
  Effect.gen(function* () {
    const { asked, at, watch } = yield* watched
    at.settled = 30
    yield* watch.settleLast
    expect(asked).toEqual([{ upTo: 30, passedOver: 3 }])
    yield* watch.settleLast
    expect(asked).toHaveLength(1)
    expect(watch.quarantined()).toBe(3)
  })
)
