import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import type { Recorder } from "../../../src/audit/queue/Recorder.ts"
import * as WriteQueue from "../../../src/audit/queue/WriteQueue.ts"
import { type LossAccounts, makeLossWatch } from "../../../src/audit/recovery/LossAccounts.ts"

const recorder = { incarnation: { source: "s", startedAt: 0 } } as Recorder

/** A queue that could not read three events among its first thirty, and the accounts that are requested. */
const watched = Effect.gen(function* () {
  const at = { settled: 0 }
  const queue: WriteQueue.WriteQueue = {
    ...(yield* WriteQueue.make({ capacity: 10, batchSize: 10, linger: 0 })),
    unreadableCount: () => 3,
    unreadableUpTo: () => 22,
    settledUpTo: () => at.settled
  }
  const requested: Array<{ readonly upTo: number; readonly unreadable: number }> = []
  const accounts: LossAccounts = {
    receipt: () => Effect.succeed(0),
    settled: () => Effect.void,
    receiptShed: Effect.void,
    recordLimitsCutOff: () => Effect.void,
    settleAccount: ({ unreadable, upTo }) =>
      Effect.sync(() => {
        requested.push({ upTo, unreadable })
        return { quarantined: unreadable }
      })
  }
  return { requested, at, watch: makeLossWatch(accounts, queue, recorder) }
})

it.effect("unreadable events above the account's last number are part of a later account", () =>
  Effect.gen(function* () {
    const { at, requested, watch } = yield* watched
    yield* Effect.fork(watch.run)
    at.settled = 10
    yield* TestClock.adjust("61 seconds")
    expect(requested).toEqual([{ upTo: 10, unreadable: 0 }])
    expect(watch.quarantined()).toBe(3)
    at.settled = 30
    yield* TestClock.adjust("61 seconds")
    expect(requested.at(-1)).toEqual({ upTo: 30, unreadable: 3 })
    expect(watch.quarantined()).toBe(3)
  })
)

it.effect("the shutdown looks once more if an unreadable event is in no account, and only then", () =>
  Effect.gen(function* () {
    const { at, requested, watch } = yield* watched
    at.settled = 30
    yield* watch.settleLast
    expect(requested).toEqual([{ upTo: 30, unreadable: 3 }])
    yield* watch.settleLast
    expect(requested).toHaveLength(1)
    expect(watch.quarantined()).toBe(3)
  })
)
