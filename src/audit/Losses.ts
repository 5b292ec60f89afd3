import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { AuditBuffer } from "./AuditBuffer.ts"
import { AuditLedger } from "./AuditLedger.ts"
import { AuditStore } from "./AuditStore.ts"
import { type Loss, lossReceipt } from "./LossReceipt.ts"
import type { Recorder } from "./Recorder.ts"
import { attribute, unexplained } from "./Tail.ts"

/** A source whose numbers are to be accounted for. */
export interface Account {
  readonly source: string
  /** Each number up to here should be in the table or the dead letters by now. */
  readonly upTo: number
  /** When the events after the last account were recorded, in milliseconds since the epoch. */
  readonly fromTime: number
  readonly toTime: number
  /** Events shed by the source in its whole life; 0 of a living one, which knows the numbers itself. */
  readonly shed: number
  /** Damaged spans of its journal that were put aside. */
  readonly spans: number
}

export interface Losses {
  /** Waits until the receipt is in the trail's hands, and gives its number. */
  readonly receipt: (loss: Loss) => Effect.Effect<number>
  /** Writes a receipt for what was shed and has none yet. */
  readonly receiptShed: Effect.Effect<void>
  /**
   * Looks for numbers that are nowhere, writes receipts for those that no receipt names, and notes how far it looked. Gives how
   * many events of the source are gone for damage to its journal.
   */
  readonly settleAccount: (account: Account) => Effect.Effect<{ readonly quarantined: number }, LookFailed>
}

export type LookFailed = Effect.Effect.Error<ReturnType<(typeof AuditLedger.Service)["gaps"]>> | StoreFailed
type StoreFailed = Effect.Effect.Error<ReturnType<(typeof AuditStore.Service)["recordLoss"]>>

/** Numbers that a receipt names. */
type Named = Pick<Loss, "kind" | "source"> & { readonly from: number; readonly to: number }

const size = (ranges: ReadonlyArray<{ readonly from: number; readonly to: number }>): number =>
  ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0)

/** Whatever is missing from the trail is said in the trail: what was shed, what is nowhere, where a tail is unknown. */
export const make = Effect.fnUntraced(function* (recorder: Recorder) {
  const ledger = yield* AuditLedger
  const store = yield* AuditStore

  /** Receipts of this process; they are in the table a little later. */
  const said: Array<Named> = []

  const record = (loss: Loss) => {
    const taken = recorder.recordOwn(lossReceipt(loss))
    if (taken !== undefined && loss.kind !== "tail") said.push(loss)
    return taken
  }

  const receipt = (loss: Loss) =>
    Effect.suspend(() => (record(loss) === undefined ? Effect.fail("full") : Effect.succeed(recorder.lastSeq()))).pipe(
      Effect.retry(Schedule.spaced("1 second")),
      Effect.orDie
    )

  /** Numbers that a receipt names, or is about to. */
  const namedOf = (source: string) =>
    Effect.map(ledger.receipts(source), (written): ReadonlyArray<Named> => {
      const shedding = source === recorder.incarnation.source ? recorder.shedRange() : undefined
      const own = said.filter((one) => one.source === source)
      return [...written, ...own, ...(shedding === undefined ? [] : [{ kind: "shed", source, ...shedding } as const])]
    })

  const losses: Losses = {
    receipt,
    receiptShed: Effect.suspend(() => {
      const range = recorder.shedRange()
      if (range === undefined) return Effect.void
      const { source } = recorder.incarnation
      const taken = record({ kind: "shed", source, ...range })
      if (taken === undefined) return Effect.void
      recorder.receipted()
      return Effect.logWarning(
        `${range.count} audit events were answered without a record (numbers ${range.from} to ${range.to}); ` +
          `receipt ${taken} says so in the trail.`
      )
    }),
    settleAccount: Effect.fnUntraced(function* (account) {
      const { fromTime, shed, source, spans, toTime, upTo } = account
      const known = yield* ledger.source(source)
      const from = known?.checkedSeq ?? 0
      if (upTo <= from) return { quarantined: 0 }
      const gaps = yield* ledger.gaps(source, { from, to: upTo, fromTime, toTime })
      if (gaps.length === 0) {
        yield* store.recordLoss(source, { from, checkedSeq: upTo, lost: 0 })
        return { quarantined: 0 }
      }
      const named = yield* namedOf(source)
      const missing = unexplained(gaps, named)
      const shedAndNamed = new Map(named.flatMap((one) => (one.kind === "shed" ? [[one.from, one]] : [])))
      const found = attribute({ missing: size(missing), shed: shed - size([...shedAndNamed.values()]), spans })
      for (const { from, to } of missing) {
        const kind = found.lost > 0 ? "gap" : found.quarantined > 0 ? "quarantined" : "shed"
        yield* receipt({ kind, source, from, to, count: to - from + 1 })
      }
      if (missing.length > 0) {
        yield* Effect.logError(
          `ALARM: ${size(missing)} numbers of the audit source ${source} are neither in the table nor among the dead ` +
            `letters (${found.shed} shed, ${found.quarantined} damaged in the journal, ${found.lost} lost); receipts say ` +
            "so in the trail."
        )
      }
      yield* store.recordLoss(source, { from, checkedSeq: upTo, lost: found.lost })
      return { quarantined: found.quarantined }
    })
  }
  return losses
})

/** The losses of a living process: each second what was shed, each minute what is nowhere. */
export const watch = (
  losses: Losses,
  options: {
    readonly buffer: AuditBuffer
    readonly recorder: Recorder
    readonly spans: () => number
    readonly onQuarantined: (events: number) => void
  }
) => {
  const { buffer, recorder } = options
  let fromTime = recorder.incarnation.startedAt

  const look = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    // What is numbered higher was not recorded before this moment.
    const next = buffer.oldest() ?? now
    const { quarantined } = yield* losses.settleAccount({
      source: recorder.incarnation.source,
      upTo: buffer.settledUpTo(),
      fromTime,
      toTime: now,
      shed: 0,
      spans: options.spans()
    })
    fromTime = next
    options.onQuarantined(quarantined)
  }).pipe(
    // The drain tells of a database that is away; the next look covers what this one did not see.
    Effect.catchAll((error) => Effect.logDebug(`The audit trail was not searched for gaps: ${error.message}`))
  )

  return Effect.all(
    [
      Effect.repeat(losses.receiptShed, Schedule.spaced("1 second")),
      Effect.repeat(Effect.zipRight(Effect.sleep("1 minute"), look), Schedule.forever)
    ],
    { concurrency: "unbounded", discard: true }
  )
}
