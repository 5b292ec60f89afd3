import * as DateTime from "effect/DateTime"
import type { LedgerSource } from "./AuditLedger.ts"

/** What the process or the journal of a source knows and the ledger does not. */
export interface LocalCounts {
  /** Events that wait to be written. */
  readonly pending: number
  readonly lastSeq: number
  readonly refused: number
  readonly shed: number
  readonly quarantined: number
}

/** Where the events of a source are. `offered` is the sum of all other counts; `deadLettered` excludes replayed ones. */
export interface Balance {
  /** Numbers given, plus refused events, which have no number. */
  readonly offered: number
  readonly committed: number
  readonly pending: number
  readonly deadLettered: number
  readonly quarantined: number
  readonly refused: number
  readonly shed: number
  readonly lost: number
  /**
   * Events that no count explains. Above zero: rows were removed, or a process died and its gaps were not searched yet. Below
   * zero: rows exist that a receipt calls lost. Meaningless where `counted` is false.
   */
  readonly unaccounted: number
  /** False when a program that does not keep the counters wrote for the source. */
  readonly counted: boolean
}

/** In every mode except `memory` a journal outlives the process. */
const hasJournal = (durability: string | null): boolean => /journal|fsync|commit/.test(durability ?? "")

/**
 * Balances one source. Without `local` (its process ended, or runs elsewhere) only the ledger counts: events that the sign-off
 * called unwritten or in doubt wait in the journal until they are in the table or called lost.
 */
export const balance = (ledger: LedgerSource, local?: LocalCounts): Balance => {
  const { committed, counted, lost } = ledger
  const deadLettered = ledger.deadLettered - ledger.replayed
  const quarantined = Math.max(ledger.quarantined, local?.quarantined ?? 0)
  const refused = Math.max(ledger.refused ?? 0, local?.refused ?? 0)
  const shed = Math.max(ledger.shed ?? 0, local?.shed ?? 0)
  const numbered = Math.max(ledger.lastSeq, ledger.signedOffSeq ?? 0, local?.lastSeq ?? 0)
  const missing = numbered - committed - deadLettered - quarantined - shed - lost
  const left = hasJournal(ledger.durability) ? (ledger.unwritten ?? 0) + (ledger.inDoubt ?? 0) : 0
  const pending = local?.pending ?? Math.max(0, Math.min(left, missing))
  return {
    offered: numbered + refused,
    committed,
    pending,
    deadLettered,
    quarantined,
    refused,
    shed,
    lost,
    unaccounted: missing - pending,
    counted
  }
}

/** How many events up to `upTo` are missing, by the counts of the ledger. */
export const missingBy = (known: LedgerSource, upTo: number): number =>
  upTo - known.committed - (known.deadLettered - known.replayed) - known.quarantined - known.lost

/**
 * Classifies a source: ingest, running here, signed off, ended without sign-off, or on another machine. `living` is set when its
 * process runs, and says where; `left` when its journal is here without its process, and says in which state.
 */
export const standingOf = (
  row: Pick<LedgerSource, "kind" | "signedOffSeq" | "unsignedAfter">,
  { left, living }: { readonly living?: string | undefined; readonly left?: string | undefined }
): string => {
  if (row.kind === "ingest") return "ingest"
  if (living !== undefined) return living
  if (row.signedOffSeq !== null) return "signed off"
  if (row.unsignedAfter !== null) return "tail unknown"
  return left ?? "elsewhere"
}

export const balanceView = ({ deadLettered, ...rest }: Balance) => ({ ...rest, dead_lettered: deadLettered })

const iso = (time: DateTime.Utc | null): string | null => (time === null ? null : DateTime.formatIso(time))

/** The JSON of a source with its balance, for HTTP and the command line. */
export const sourceView = (row: LedgerSource, standing: string, balance: Balance) => ({
  source: row.source,
  standing,
  identity: row.identity,
  host: row.host,
  pid: row.pid,
  durability: row.durability,
  started_at: iso(row.startedAt),
  seen_at: iso(row.seenAt ?? row.lastAt),
  signed_off_at: iso(row.signedOffAt),
  tail_unknown_after: row.unsignedAfter,
  checked_seq: row.checkedSeq,
  ...balanceView(balance)
})
