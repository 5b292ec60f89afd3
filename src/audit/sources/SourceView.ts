import * as DateTime from "effect/DateTime"
import type { LedgerSource } from "./AuditLedger.ts"
import type { Balance } from "./Conservation.ts"

/** What who looks knows of a source beyond the ledger, in words. */
export interface Known {
  /** Its process lives, and is known where. */
  readonly living?: string | undefined
  /** It ended without a word, and what it left is at hand. */
  readonly left?: string | undefined
}

/**
 * How a source stands: it is a client's that has no process, it lives, it ended with a word or without, or it lives (or died
 * unnoticed) elsewhere.
 */
export const standingOf = (
  row: Pick<LedgerSource, "kind" | "signedOffSeq" | "unsignedAfter">,
  { left, living }: Known
): string => {
  if (row.kind === "ingest") return "ingest"
  if (living !== undefined) return living
  if (row.signedOffSeq !== null) return "signed off"
  if (row.unsignedAfter !== null) return "tail unknown"
  return left ?? "elsewhere"
}

export const balanceView = ({ deadLettered, ...rest }: Balance) => ({ ...rest, dead_lettered: deadLettered })

const iso = (time: DateTime.Utc | null): string | null => (time === null ? null : DateTime.formatIso(time))

/** A source with its balance as JSON shows it, over HTTP and on the command line. */
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
