import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { type Loss, lossReceipt } from "../encoding/TrailEvents.ts"
import type { Recorder } from "../queue/Recorder.ts"
import type { WriteQueue } from "../queue/WriteQueue.ts"
import { AuditLedger, type LedgerSource } from "../sources/AuditLedger.ts"
import { maximumGaps } from "../sources/GapSearch.ts"
import { AuditStore } from "../store/AuditStore.ts"
import { attribute, type Range, sizeOf, unexplained } from "./MissingRanges.ts"

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
  /** The numbers that damaged spans of its journal held. */
  readonly damaged: ReadonlyArray<Range>
  /** Events that could not be read back from it, in its whole life. */
  readonly passedOver: number
  /** Every event of it that will ever be is written: where its counts say that none is missing, no row need be looked for. */
  readonly isOver: boolean
}

export interface LossAccounts {
  /** Waits until the receipt is in the trail's hands, and gives its number. */
  readonly receipt: (loss: Loss) => Effect.Effect<number>
  /** Writes a receipt for what was shed and has none yet. */
  readonly receiptShed: Effect.Effect<void>
  /**
   * Looks for numbers that are nowhere, writes receipts for those that no receipt names, and notes how far it looked. Gives how
   * many events of the source are gone for damage to its journal.
   */
  readonly settleAccount: (account: Account) => Effect.Effect<{ readonly quarantined: number }, AccountFailed>
}

export type AccountFailed = Effect.Effect.Error<ReturnType<(typeof AuditLedger.Service)["gaps"]>> | StoreFailed
type StoreFailed = Effect.Effect.Error<ReturnType<(typeof AuditStore.Service)["recordLoss"]>>

/** Numbers that a receipt names. */
type Named = Pick<Loss, "kind" | "source"> & Range

/** A receipt may be there twice: in the table, and as one of this process. */
const distinct = (ranges: ReadonlyArray<Range>): number =>
  sizeOf([...new Map(ranges.map((range) => [`${range.from} ${range.to}`, range])).values()])

/** How many events are missing of those up to `upTo`, by the counts of the ledger. */
const missingBy = (known: LedgerSource, upTo: number): number =>
  upTo - known.committed - (known.deadLettered - known.replayed) - known.quarantined - known.lost

/** Whatever is missing from the trail is said in the trail: what was shed, what is nowhere, where a tail is unknown. */
export const make = Effect.fnUntraced(function* (
  recorder: Recorder,
  /** Waits until the event of this process with that number is in the database. */
  settled: (seq: number) => Effect.Effect<void>
) {
  const ledger = yield* AuditLedger
  const store = yield* AuditStore

  /** Receipts of this process; they are in the table a little later. */
  let said: ReadonlyArray<Named> = []

  const record = (loss: Loss) => {
    const taken = recorder.recordOwn(lossReceipt(loss))
    if (taken !== undefined && loss.kind !== "tail") said = [...said, loss]
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

  /** As far as one search for gaps goes. */
  const settlePart = Effect.fnUntraced(function* (account: Account) {
    const { damaged, fromTime, isOver, passedOver, shed, source, toTime, upTo } = account
    const known = yield* ledger.source(source)
    const from = known?.checkedSeq ?? 0
    const nothing = { quarantined: 0, done: true }
    if (upTo <= from) return nothing
    const isWhole = isOver && known?.counted === true && missingBy(known, upTo) <= 0
    const gaps = isWhole ? [] : yield* ledger.gaps(source, { from, to: upTo, fromTime, toTime })
    // There may be more after those.
    const end = gaps.length < maximumGaps ? upTo : (gaps.at(-1)?.to ?? upTo)
    const named = gaps.length === 0 ? [] : yield* namedOf(source)
    const namedAs = (kind: Named["kind"]) => named.filter((one) => one.kind === kind)
    const within = (kind: Named["kind"]) => sizeOf(gaps) - sizeOf(unexplained(gaps, namedAs(kind)))
    const unnamed = unexplained(gaps, named)
    const found = attribute({
      missing: unnamed,
      damaged,
      shed: shed - distinct(namedAs("shed")),
      passedOver: passedOver - distinct(namedAs("quarantined"))
    })
    let last = 0
    for (const [kind, ranges] of [
      ["shed", found.shed],
      ["quarantined", found.quarantined],
      ["gap", found.lost]
    ] as const) {
      for (const { from, to } of ranges) last = yield* receipt({ kind, source, from, to, count: to - from + 1 })
    }
    if (unnamed.length > 0) {
      yield* Effect.logError(
        `ALARM: ${sizeOf(unnamed)} numbers of the audit source ${source} are neither in the table nor among the dead letters ` +
          `(${sizeOf(found.shed)} shed, ${sizeOf(found.quarantined)} damaged in the journal, ${sizeOf(found.lost)} lost); ` +
          "receipts say so in the trail."
      )
    }
    // What the receipts say counts once they are where nothing takes them away.
    if (last > 0) yield* settled(last)
    // Of receipts that were written before somebody died over it, too.
    yield* store.recordLoss(source, { from, checkedSeq: end, lost: within("gap") + sizeOf(found.lost) })
    said = said.filter((one) => one.source !== source || one.to > end)
    return { quarantined: within("quarantined") + sizeOf(found.quarantined), done: end >= upTo }
  })

  const losses: LossAccounts = {
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
    settleAccount: (account) =>
      Effect.iterate(
        { quarantined: 0, done: false },
        {
          while: ({ done }) => !done,
          body: ({ quarantined }) =>
            Effect.map(settlePart(account), (part) => ({
              quarantined: quarantined + part.quarantined,
              done: part.done
            }))
        }
      )
  }
  return losses
})

export interface LossWatch {
  /** Each second what was shed, each minute what is nowhere. */
  readonly run: Effect.Effect<unknown>
  /** Before the end: looks until what the journal could not give back has its place in an account. Only once `run` has ended. */
  readonly settleLast: Effect.Effect<unknown>
  /** Events that are gone for damage to the journal: by the accounts, and since the last of them. */
  readonly quarantined: () => number
}

/** The losses of a living process. */
export const watch = (
  losses: LossAccounts,
  options: { readonly buffer: WriteQueue; readonly recorder: Recorder }
): LossWatch => {
  const { buffer, recorder } = options
  let fromTime = recorder.incarnation.startedAt
  let quarantined = 0
  /** So many of those that the buffer passed over have their place in an account: damaged, or lost. */
  let accounted = 0

  const look = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    // What is numbered higher was not recorded before this moment.
    const next = buffer.oldest() ?? now
    const upTo = buffer.settledUpTo()
    const passedOver = buffer.unreadableUpTo() <= upTo ? buffer.unreadableCount() : accounted
    const found = yield* losses.settleAccount({
      source: recorder.incarnation.source,
      upTo,
      fromTime,
      toTime: now,
      shed: 0,
      damaged: [],
      passedOver,
      isOver: false
    })
    fromTime = next
    quarantined += found.quarantined
    accounted = passedOver
  }).pipe(
    // The drain tells of a database that is away; the next look covers what this one did not see.
    Effect.catchAll((error) => Effect.logDebug(`The audit trail was not searched for gaps: ${error.message}`))
  )

  return {
    run: Effect.all(
      [
        Effect.repeat(losses.receiptShed, Schedule.spaced("1 second")),
        Effect.repeat(Effect.zipRight(Effect.sleep("1 minute"), look), Schedule.forever)
      ],
      { concurrency: "unbounded", discard: true }
    ),
    settleLast: Effect.suspend(() => (accounted === buffer.unreadableCount() ? Effect.void : look)).pipe(
      Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: () => accounted === buffer.unreadableCount() })
    ),
    quarantined: () => quarantined + buffer.unreadableCount() - accounted
  }
}
