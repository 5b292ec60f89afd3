import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { type Loss, limitsCutOff, lossReceipt } from "../encoding/TrailEvents.ts"
import { type SeqRange, sizeOf } from "../journal/SeqRanges.ts"
import type { Recorder } from "../queue/Recorder.ts"
import type { WriteQueue } from "../queue/WriteQueue.ts"
import { AuditLedger } from "../sources/AuditLedger.ts"
import { missingBy } from "../sources/Conservation.ts"
import { maximumGaps } from "../sources/GapSearch.ts"
import { AuditStore } from "../store/AuditStore.ts"
import { attribute, unexplained } from "./MissingRanges.ts"

/** A source whose numbers are to be accounted for. */
export interface Account {
  readonly source: string
  /** Each number up to here should be in the table or among the dead letters by now. */
  readonly upTo: number
  /** When the events after the last account were recorded, in milliseconds since the epoch. */
  readonly fromTime: number
  readonly toTime: number
  /** Events that the source shed in its whole life; 0 for a living source, which knows the numbers itself. */
  readonly shed: number
  /** The numbers that damaged spans of its journal held. */
  readonly damaged: ReadonlyArray<SeqRange>
  /** Events that could not be read back from its journal, in its whole life. */
  readonly unreadable: number
  /** All its events are written. If its counts say that none is missing, no row needs to be looked for. */
  readonly isOver: boolean
}

/** Numbers that a receipt names. */
type NamedLoss = Pick<Loss, "kind" | "source"> & SeqRange

/** What accounting works with. `receipts` are those of this process, which reach the table a little later. */
interface Parts {
  readonly recorder: Recorder
  readonly queue: WriteQueue
  readonly ledger: typeof AuditLedger.Service
  readonly store: typeof AuditStore.Service
  receipts: ReadonlyArray<NamedLoss>
}

/** A receipt may be there twice: in the table, and as a receipt of this process. */
const distinct = (ranges: ReadonlyArray<SeqRange>): number =>
  sizeOf([...new Map(ranges.map((range) => [`${range.from} ${range.to}`, range])).values()])

const record = (parts: Parts, loss: Loss) => {
  const taken = parts.recorder.recordOwn(lossReceipt(loss))
  if (taken !== undefined && loss.kind !== "tail") parts.receipts = [...parts.receipts, loss]
  return taken
}

/** Tries until the trail accepts the event, and returns its number. */
const untilRecorded = ({ recorder }: Parts, take: () => unknown) =>
  Effect.suspend(() => (take() === undefined ? Effect.fail("full") : Effect.succeed(recorder.lastSeq()))).pipe(
    Effect.retry(Schedule.spaced("1 second")),
    Effect.orDie
  )

const receipt = (parts: Parts, loss: Loss) => untilRecorded(parts, () => record(parts, loss))

/** The numbers that a receipt names, or is about to name. A receipt may be recorded during the query, so both are read after it. */
const namedOf = (parts: Parts, source: string) =>
  Effect.map(parts.ledger.receipts(source), (written): ReadonlyArray<NamedLoss> => {
    const { receipts, recorder } = parts
    const shedding = source === recorder.incarnation.source ? recorder.shedRange() : undefined
    const own = receipts.filter((one) => one.source === source)
    return [...written, ...own, ...(shedding === undefined ? [] : [{ kind: "shed", source, ...shedding } as const])]
  })

/** Settles the account as far as one search for gaps reaches. */
const settlePart = Effect.fnUntraced(function* (parts: Parts, account: Account) {
  const { damaged, fromTime, isOver, shed, source, toTime, unreadable, upTo } = account
  const { ledger, queue, store } = parts
  const known = yield* ledger.source(source)
  const from = known?.checkedSeq ?? 0
  if (upTo <= from) return { quarantined: 0, done: true }
  const isWhole = isOver && known?.counted === true && missingBy(known, upTo) <= 0
  const gaps = isWhole ? [] : yield* ledger.gaps(source, { from, to: upTo, fromTime, toTime })
  // A search returns a limited number of gaps; more may follow.
  const end = gaps.length < maximumGaps ? upTo : (gaps.at(-1)?.to ?? upTo)
  const named = gaps.length === 0 ? [] : yield* namedOf(parts, source)
  const namedAs = (kind: NamedLoss["kind"]) => named.filter((one) => one.kind === kind)
  const within = (kind: NamedLoss["kind"]) => sizeOf(gaps) - sizeOf(unexplained(gaps, namedAs(kind)))
  const unnamed = unexplained(gaps, named)
  const found = attribute({
    missing: unnamed,
    damaged,
    shed: shed - distinct(namedAs("shed")),
    unreadable: unreadable - distinct(namedAs("quarantined"))
  })
  let last = 0
  for (const [kind, ranges] of [
    ["shed", found.shed],
    ["quarantined", found.quarantined],
    ["gap", found.lost]
  ] as const) {
    for (const { from, to } of ranges) last = yield* receipt(parts, { kind, source, from, to, count: to - from + 1 })
  }
  if (unnamed.length > 0) {
    yield* Effect.logError(
      `ALARM: ${sizeOf(unnamed)} numbers of the audit source ${source} are neither in the table nor among the dead letters ` +
        `(${sizeOf(found.shed)} shed, ${sizeOf(found.quarantined)} damaged in the journal, ${sizeOf(found.lost)} lost); ` +
        "receipts say so in the trail."
    )
  }
  // The account may count on the receipts only once they are in the database.
  if (last > 0) yield* queue.awaitSettled(last)
  // Includes receipts of a process that died before it could store its account.
  yield* store.recordLoss(source, { from, checkedSeq: end, lost: within("gap") + sizeOf(found.lost) })
  parts.receipts = parts.receipts.filter((one) => one.source !== source || one.to > end)
  return { quarantined: within("quarantined") + sizeOf(found.quarantined), done: end >= upTo }
})

const receiptShed = (parts: Parts) =>
  Effect.suspend(() => {
    const { recorder } = parts
    const range = recorder.shedRange()
    if (range === undefined) return Effect.void
    const taken = record(parts, { kind: "shed", source: recorder.incarnation.source, ...range })
    if (taken === undefined) return Effect.void
    recorder.receipted()
    return Effect.logWarning(
      `${range.count} audit events were answered without a record (numbers ${range.from} to ${range.to}); ` +
        `receipt ${taken} says so in the trail.`
    )
  })

/** Accounts for the numbers of sources: writes a receipt into the trail for each number that has no row. */
export const make = Effect.fnUntraced(function* (recorder: Recorder, queue: WriteQueue) {
  const parts: Parts = { recorder, queue, ledger: yield* AuditLedger, store: yield* AuditStore, receipts: [] }
  return {
    /** Records the receipt, waits until the trail accepts it, and returns its number. */
    receipt: (loss: Loss) => receipt(parts, loss),
    /** Records that a dead source lost its last counts of limited failures, and waits until that is in the database. */
    recordLimitsCutOff: (source: string) =>
      Effect.flatMap(
        untilRecorded(parts, () => recorder.recordOwn(limitsCutOff(source))),
        queue.awaitSettled
      ),
    /** Waits until the event of this process with that number is in the database. */
    settled: queue.awaitSettled,
    /** Records a receipt for what was shed since the last one. */
    receiptShed: receiptShed(parts),
    /**
     * Looks for numbers without a row, writes receipts for those that no receipt names, and stores how far it looked. Returns how
     * many events of the source are lost because its journal is damaged.
     */
    settleAccount: Effect.fnUntraced(function* (account: Account) {
      let quarantined = 0
      for (;;) {
        const part = yield* settlePart(parts, account)
        quarantined += part.quarantined
        if (part.done) return { quarantined }
      }
    })
  }
})

export type LossAccounts = Effect.Effect.Success<ReturnType<typeof make>>

/** Accounts for the losses of this process while it runs. */
export const makeLossWatch = (accounts: LossAccounts, queue: WriteQueue, recorder: Recorder) => {
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
    /** Writes receipts for shed events each second, and looks for missing numbers each minute. */
    run: Effect.all(
      [
        Effect.repeat(accounts.receiptShed, Schedule.spaced("1 second")),
        Effect.repeat(Effect.zipRight(Effect.sleep("1 minute"), look), Schedule.forever)
      ],
      { concurrency: "unbounded", discard: true }
    ),
    /** Before the end: looks until all events that the journal could not return are accounted for. Only once `run` has ended. */
    settleLast: Effect.suspend(() => (accounted === queue.unreadableCount() ? Effect.void : look)).pipe(
      Effect.repeat({ schedule: Schedule.spaced("50 millis"), until: () => accounted === queue.unreadableCount() })
    ),
    /** Events lost because the journal is damaged: by the accounts, and since the last account. */
    quarantined: () => quarantined + queue.unreadableCount() - accounted
  }
}

export type LossWatch = ReturnType<typeof makeLossWatch>
