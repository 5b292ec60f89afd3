import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { AuditStatus } from "../../audit/AuditStatus.ts"
import { auditView } from "../../audit/AuditView.ts"
import type { AuditLedger, DeadLetterCounts, LedgerSource, SourcesQuery } from "../../audit/sources/AuditLedger.ts"
import { maximumSources } from "../../audit/sources/AuditLedger.ts"
import { type Balance, balance, type LocalCounts } from "../../audit/sources/Conservation.ts"
import { sourceView, standingOf } from "../../audit/sources/SourceView.ts"
import type { TrailUnreachable } from "../../audit/store/TrailUnreachable.ts"

const defaultPageSize = 100

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Reads the query of `GET /audit/pipeline`: `limit`, and `cursor`, which is `next` of the page before. */
export const parsePipelineQuery = (params: URLSearchParams): Either.Either<SourcesQuery, string> => {
  const unknown = [...params.keys()].filter((name) => name !== "limit" && name !== "cursor")
  if (unknown.length > 0)
    return Either.left(`unknown parameter ${JSON.stringify(unknown[0]?.slice(0, 50))}; known: limit, cursor`)
  if (params.getAll("limit").length > 1 || params.getAll("cursor").length > 1) {
    return Either.left('"limit" and "cursor" are given once at most')
  }
  const limit = params.get("limit") ?? String(defaultPageSize)
  if (!/^[1-9]\d{0,3}$/.test(limit) || Number(limit) > maximumSources) {
    return Either.left(`"limit" must be a number from 1 to ${maximumSources}`)
  }
  const after = params.get("cursor") ?? undefined
  if (after !== undefined && !uuid.test(after)) {
    return Either.left('"cursor" must be `next` of the page before')
  }
  return Either.right({ limit: Number(limit), after })
}

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

/** What this process knows of a source beyond the ledger: its own, or the one whose journal it takes over. */
const localCounts = (
  source: string,
  { counters, depth, journal, source: own }: AuditStatus
): LocalCounts | undefined => {
  if (source === own) {
    const { offered, refused, shed } = counters
    return { pending: depth, lastSeq: offered - refused, refused, shed, quarantined: 0 }
  }
  const adopting = journal?.others.adopting
  return adopting?.source === source ? { ...adopting.counts, pending: adopting.pending, quarantined: 0 } : undefined
}

/**
 * The ledger was read after the status: what was written in between is no longer pending. So as many are, of those that were, as the
 * ledger leaves open. The same holds for those that the journal could not give back: what an account called lost since is open
 * no more.
 */
const balanceOf = (row: LedgerSource, now: AuditStatus): Balance => {
  const local = localCounts(row.source, now)
  if (local === undefined) return balance(row)
  const open = Math.max(0, balance(row, { ...local, pending: 0 }).unaccounted)
  const pending = Math.min(open, local.pending)
  const passedOver = row.source === now.source ? now.counters.passedOver : 0
  const quarantined = row.quarantined + Math.min(open - pending, Math.max(0, passedOver - row.quarantined))
  return balance(row, { ...local, pending, quarantined })
}

const sourceViewOf = (row: LedgerSource, now: AuditStatus) => {
  const standing = standingOf(row, {
    living: row.source === now.source ? "this process" : undefined,
    left: row.source === now.journal?.others.adopting?.source ? "being taken over" : undefined
  })
  return sourceView(row, standing, balanceOf(row, now))
}

/** Where the events are: the state of this process, and the balance of each source by what is durable. */
export const pipelineView = (now: AuditStatus, page: Either.Either<LedgerPage, TrailUnreachable>) => ({
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
