import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Recorder } from "../queue/Recorder.ts"
import type { WriteQueue } from "../queue/WriteQueue.ts"
import type { LossAccounts } from "./LossAccounts.ts"

/** Accounts for the losses of this process while it runs. */
export interface LossWatch {
  /** Writes receipts for shed events each second, and looks for missing numbers each minute. */
  readonly run: Effect.Effect<unknown>
  /** Before the end: looks until all events that the journal could not return are accounted for. Only once `run` has ended. */
  readonly settleLast: Effect.Effect<unknown>
  /** Events lost because the journal is damaged: by the accounts, and since the last account. */
  readonly quarantined: () => number
}

export const make = (
  accounts: LossAccounts,
  options: { readonly queue: WriteQueue; readonly recorder: Recorder }
): LossWatch => {
  const { queue, recorder } = options
  let fromTime = recorder.incarnation.startedAt
  let quarantined = 0
  /** How many of the unreadable events are accounted for, as damaged or as lost. */
  let accounted = 0

  const look = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    // Events with higher numbers were not recorded before this time.
    const next = queue.oldest() ?? now
    const upTo = queue.settledUpTo()
    const unreadable = queue.unreadableUpTo() <= upTo ? queue.unreadableCount() : accounted
    const found = yield* accounts.settleAccount({
      source: recorder.incarnation.source,
      upTo,
      fromTime,
      toTime: now,
      shed: 0,
      damaged: [],
      unreadable,
      isOver: false
    })
    fromTime = next
    quarantined += found.quarantined
    accounted = unreadable
  }).pipe(
    // The batch writer logs that the database is away; the next look covers what this one missed.
    Effect.catchAll((error) => Effect.logDebug(`The audit trail was not searched for gaps: ${error.message}`))
  )

  return {
    run: Effect.all(
      [
        Effect.repeat(accounts.receiptShed, Schedule.spaced("1 second")),
        Effect.repeat(Effect.zipRight(Effect.sleep("1 minute"), look), Schedule.forever)
      ],
      { concurrency: "unbounded", discard: true }
    ),
    settleLast: Effect.suspend(() => (accounted === queue.unreadableCount() ? Effect.void : look)).pipe(
      Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: () => accounted === queue.unreadableCount() })
    ),
    quarantined: () => quarantined + queue.unreadableCount() - accounted
  }
}
