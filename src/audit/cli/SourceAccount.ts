import type { LedgerSource } from "../sources/AuditLedger.ts"
import { type Balance, balance, standingOf } from "../sources/Conservation.ts"
import type { Gap } from "../sources/GapSearch.ts"
import type { JournalSight } from "./JournalSight.ts"

export const sizeOf = (ranges: ReadonlyArray<Gap>): number =>
  ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0)

/** A process that lives, and keeps its events nowhere else: what is not in the database is in its memory. */
export const isLivingMemory = ({ identity, living }: JournalSight): boolean =>
  living && (identity?.durability ?? "journal").split(" ").every((mode) => mode.endsWith("memory"))

/** A journal whose source never came to the database. */
export const unregistered = ({ identity, source }: JournalSight): LedgerSource => ({
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
 * Balances a source by the ledger and the journal that is at hand. A journal holds records for a while after they are
 * settled, so those that count as pending are no more than the ledger misses.
 */
export const accountOf = (row: LedgerSource, sight: JournalSight | undefined): Balance => {
  if (sight === undefined || sight.problem !== null) return balance(row)
  const { lastSeq, quarantined, refused, shed } = sight
  const missing = balance(row, { lastSeq, quarantined, refused, shed, pending: 0 }).unaccounted
  const held = isLivingMemory(sight) ? missing : sizeOf(sight.pending)
  const pending = Math.max(0, Math.min(held, missing))
  return balance(row, { lastSeq, quarantined, refused, shed, pending })
}

export const standingAtHome = (row: LedgerSource, sight: JournalSight | undefined): string =>
  standingOf(row, {
    living: sight?.living === true ? "runs here" : undefined,
    left: sight === undefined ? undefined : sight.holder === null ? "gone, journal left" : "being taken over"
  })

export const nothing: Balance = {
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

/** A sum and one more; what one source has too many does not make up for what another lacks. */
export const plus = (sum: Balance, one: Balance): Balance => ({
  offered: sum.offered + one.offered,
  committed: sum.committed + one.committed,
  pending: sum.pending + one.pending,
  deadLettered: sum.deadLettered + one.deadLettered,
  quarantined: sum.quarantined + one.quarantined,
  refused: sum.refused + one.refused,
  shed: sum.shed + one.shed,
  lost: sum.lost + one.lost,
  unaccounted: sum.unaccounted + (one.counted ? Math.abs(one.unaccounted) : 0),
  counted: sum.counted && one.counted
})

/** Whether somebody should look at it, however old it is. */
export const isNotable = (one: Balance, sight: JournalSight | undefined): boolean =>
  sight !== undefined || one.pending > 0 || one.lost > 0 || (one.counted && one.unaccounted !== 0)
