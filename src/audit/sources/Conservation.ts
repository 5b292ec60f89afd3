import type { LedgerSource } from "./AuditLedger.ts"

/** What the process or the journal of a source knows beyond the ledger. */
export interface LocalCounts {
  /** Events that wait to be written. */
  readonly pending: number
  readonly lastSeq: number
  readonly refused: number
  readonly shed: number
  readonly quarantined: number
}

/** Where the events of a source are: `offered` is the sum of all others, `deadLettered` without those that were replayed. */
export interface Balance {
  /** Numbers given, and events refused, which have none. */
  readonly offered: number
  readonly committed: number
  readonly pending: number
  readonly deadLettered: number
  readonly quarantined: number
  readonly refused: number
  readonly shed: number
  readonly lost: number
  /**
   * What nothing explains. Above zero: rows were removed, or a process died and nobody has looked for its gaps yet. Below
   * zero: rows came that a receipt calls lost. Says nothing where `counted` is false.
   */
  readonly unaccounted: number
  /** False when a program that does not count wrote for the source. */
  readonly counted: boolean
}

/** What the ledger says of a source, as far as its balance goes. */
export type LedgerCounts = Pick<
  LedgerSource,
  | "committed"
  | "counted"
  | "deadLettered"
  | "durability"
  | "inDoubt"
  | "lastSeq"
  | "lost"
  | "quarantined"
  | "refused"
  | "replayed"
  | "shed"
  | "signedOffSeq"
  | "unwritten"
>

/** With any mode but `memory` there is a journal that outlives the process. */
const hasJournal = (durability: string | null): boolean => /journal|fsync|commit/.test(durability ?? "")

/**
 * Balances one source. Without `local` (its process ended, or runs elsewhere) the ledger speaks alone: what the sign-off left
 * unwritten or in doubt waits in the journal until it is in the table or called lost.
 */
export const balance = (ledger: LedgerCounts, local?: LocalCounts): Balance => {
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
