import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Record from "effect/Record"
import { type SeqRange, sizeOf } from "../journal/SeqRanges.ts"
import { unexplained } from "../recovery/MissingRanges.ts"
import type { AuditLedger, LedgerSource } from "../sources/AuditLedger.ts"
import { type Balance, balance, standingOf } from "../sources/Conservation.ts"
import type { TrailUnreachable } from "../store/TrailUnreachable.ts"
import type { JournalSummary } from "./JournalReport.ts"

/** Whether the process runs and keeps events in memory only: what is not in the database is in its memory. */
const isInMemory = ({ identity, living }: JournalSummary): boolean =>
  living && (identity?.durability ?? "journal").split(" ").every((mode) => mode.endsWith("memory"))

/** The ledger row of a journal whose source never reached the database. */
export const unregistered = ({ identity, source }: JournalSummary): LedgerSource => ({
  source,
  identity: null,
  kind: "process",
  host: identity?.host ?? null,
  pid: identity?.pid ?? null,
  startedAt: null,
  bootId: identity?.bootId ?? null,
  durability: identity?.durability ?? null,
  seenAt: null,
  lastSeq: 0,
  lastAt: null,
  committed: 0,
  deadLettered: 0,
  replayed: 0,
  quarantined: 0,
  counted: true,
  checkedSeq: 0,
  lost: 0,
  unsignedAfter: null,
  signedOffSeq: null,
  signedOffAt: null,
  shed: null,
  refused: null,
  unwritten: null,
  inDoubt: null
})

/**
 * Balances a source by the ledger and its journal on this machine. A journal keeps records for a while after they are settled,
 * so at most as many of them count as pending as the ledger misses.
 */
export const balanceOf = (row: LedgerSource, journal: JournalSummary | undefined): Balance => {
  if (journal === undefined || journal.problem !== null) return balance(row)
  const { lastSeq, quarantined, refused, shed } = journal
  const missing = balance(row, { lastSeq, quarantined, refused, shed, pending: 0 }).unaccounted
  const held = isInMemory(journal) ? missing : sizeOf(journal.pending)
  const pending = Math.max(0, Math.min(held, missing))
  return balance(row, { lastSeq, quarantined, refused, shed, pending })
}

/** Classifies a source, with what its journal on this machine shows. */
export const localStanding = (row: LedgerSource, journal: JournalSummary | undefined): string =>
  standingOf(row, {
    living: journal?.living === true ? "runs here" : undefined,
    left: journal === undefined ? undefined : journal.holder === null ? "gone, journal left" : "being taken over"
  })

export const emptyBalance: Balance = {
  offered: 0,
  committed: 0,
  pending: 0,
  deadLettered: 0,
  quarantined: 0,
  refused: 0,
  shed: 0,
  lost: 0,
  unaccounted: 0,
  counted: true
}

/** Adds a balance to a sum. A surplus of one source does not offset what another lacks. */
export const addBalance = (sum: Balance, { counted, unaccounted, ...counts }: Balance): Balance => ({
  ...Record.map(counts, (count, name) => sum[name] + count),
  unaccounted: sum.unaccounted + (counted ? Math.abs(unaccounted) : 0),
  counted: sum.counted && counted
})

/** Whether a source is shown however old it is. */
export const isNotable = (one: Balance, journal: JournalSummary | undefined): boolean =>
  journal !== undefined || one.pending > 0 || one.lost > 0 || (one.counted && one.unaccounted !== 0)

/** Numbers of a source that have neither a row nor a dead letter. */
export interface SourceGaps {
  /** Ranges in no loss receipt and in no journal here. Ascending, at most `maximumGaps`. */
  readonly unnamed: ReadonlyArray<SeqRange>
  /** How many of the missing numbers a loss receipt names. */
  readonly named: number
  /** How many of them wait in a journal here, or in the memory of the process. */
  readonly waiting: number
  /** How many are missing beyond the balance: their rows were counted when they were written, and removed later. */
  readonly beyond: number
}

/** Sorts the missing numbers, in ascending order, by what explains them. */
export const explain = (
  gaps: ReadonlyArray<SeqRange>,
  known: {
    readonly named: ReadonlyArray<SeqRange>
    readonly waiting: ReadonlyArray<SeqRange>
    readonly balance: Balance
  }
): SourceGaps => {
  const { counted, lost, pending, quarantined, shed, unaccounted } = known.balance
  const balanced = shed + quarantined + lost + pending + (counted ? Math.max(0, unaccounted) : 0)
  const notWaiting = unexplained(gaps, known.waiting)
  const unnamed = unexplained(notWaiting, known.named)
  return {
    unnamed,
    named: sizeOf(notWaiting) - sizeOf(unnamed),
    waiting: sizeOf(gaps) - sizeOf(notWaiting),
    beyond: Math.max(0, sizeOf(gaps) - balanced)
  }
}

/** Searches every number that the source is known to have given, also those that an earlier search found. */
export const searchGaps = (
  ledger: typeof AuditLedger.Service,
  row: LedgerSource,
  journal: JournalSummary | undefined,
  balance: Balance
): Effect.Effect<SourceGaps, TrailUnreachable> =>
  Effect.gen(function* () {
    const to = balance.offered - balance.refused
    const gaps = yield* ledger.gaps(row.source, {
      from: 0,
      to,
      fromTime: row.startedAt?.epochMillis ?? 0,
      toTime: yield* Clock.currentTimeMillis
    })
    const named = gaps.length === 0 ? [] : yield* ledger.receipts(row.source)
    const inMemory = journal !== undefined && isInMemory(journal)
    const waiting = inMemory ? [{ from: row.lastSeq + 1, to }] : (journal?.pending ?? [])
    return explain(gaps, { named, waiting, balance })
  })
