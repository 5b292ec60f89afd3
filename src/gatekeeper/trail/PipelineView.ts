import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { auditView, type PipelineStatus } from "../../audit/PipelineStatus.ts"
import type { AuditLedger, DeadLetterCounts, LedgerSource, SourcesQuery } from "../../audit/sources/AuditLedger.ts"
import { type Balance, balance, type LocalCounts, sourceView, standingOf } from "../../audit/sources/Conservation.ts"
import type { TrailUnreachable } from "../../audit/store/TrailUnreachable.ts"

export interface LedgerPage {
  readonly sources: ReadonlyArray<LedgerSource>
  readonly next: string | null
  readonly deadLetters: DeadLetterCounts
}

export const ledgerPage = (
  ledger: typeof AuditLedger.Service,
  query: SourcesQuery
): Effect.Effect<LedgerPage, TrailUnreachable> =>
  Effect.map(Effect.all([ledger.sources(query), ledger.deadLetters]), ([sources, deadLetters]) => ({
    sources,
    next: sources.length < query.limit ? null : (sources.at(-1)?.source ?? null),
    deadLetters
  }))

/** The counts that only this process knows: those of its own source, or of the source whose journal it recovers. */
const localCounts = (
  source: string,
  { adoptingCounts, counters, depth, journal, source: own }: PipelineStatus
): LocalCounts | undefined => {
  if (source === own) {
    const { offered, refused, shed } = counters
    return { pending: depth, lastSeq: offered - refused, refused, shed, quarantined: 0 }
  }
  const adopting = journal?.others.adopting
  return adopting?.source === source && adoptingCounts !== null
    ? { ...adoptingCounts, pending: adopting.pending, quarantined: 0 }
    : undefined
}

/**
 * The ledger is read after the status, and rows written in between are no longer pending. So at most as many rows are pending as
 * the ledger leaves open. The same holds for rows that the journal could not read back: once a receipt names them as lost, they
 * are not open.
 */
const balanceOf = (row: LedgerSource, now: PipelineStatus): Balance => {
  const local = localCounts(row.source, now)
  if (local === undefined) return balance(row)
  const open = Math.max(0, balance(row, { ...local, pending: 0 }).unaccounted)
  const pending = Math.min(open, local.pending)
  const passedOver = row.source === now.source ? now.counters.passedOver : 0
  const quarantined = row.quarantined + Math.min(open - pending, Math.max(0, passedOver - row.quarantined))
  return balance(row, { ...local, pending, quarantined })
}

const sourceViewOf = (row: LedgerSource, now: PipelineStatus) => {
  const standing = standingOf(row, {
    living: row.source === now.source ? "this process" : undefined,
    left: row.source === now.journal?.others.adopting?.source ? "being taken over" : undefined
  })
  return sourceView(row, standing, balanceOf(row, now))
}

/** The state of this process, and the balance of each source by its durable counts. */
export const pipelineView = (now: PipelineStatus, page: Either.Either<LedgerPage, TrailUnreachable>) => ({
  trail: now.trail,
  process: auditView(now),
  ...Either.match(page, {
    onLeft: ({ message }) => ({ problem: message, sources: null, dead_letters: null, next: null }),
    onRight: ({ deadLetters, next, sources }) => ({
      problem: null,
      sources: sources.map((row) => sourceViewOf(row, now)),
      dead_letters: deadLetters,
      next
    })
  })
})
