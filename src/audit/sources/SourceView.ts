import * as DateTime from "effect/DateTime"
import type { LedgerSource } from "./AuditLedger.ts"
import type { Balance } from "./Conservation.ts"

/** What the caller knows about a source that the database does not. */
export interface LocalKnowledge {
  /** Set when its process runs; says where. */
  readonly living?: string | undefined
  /** Set when its process ended without signing off and its journal is here; says in which state. */
  readonly left?: string | undefined
}

/** Classifies a source: ingest, running here, signed off, ended without sign-off, or on another machine. */
export const standingOf = (
  row: Pick<LedgerSource, "kind" | "signedOffSeq" | "unsignedAfter">,
  { left, living }: LocalKnowledge
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
