import { keptConflicts } from "../../contracts/gatekeeper/IngestSchemas.ts"
import type { Steps } from "../../platform/os/EventLoop.ts"
import type { AuditId } from "../encoding/AuditId.ts"
import { type HashedRow, makeRow } from "../encoding/AuditRow.ts"
import { encodeIngested, type IngestEvent } from "./IngestEvent.ts"
import type * as Statements from "./IngestStatements.ts"

/**
 * The outcome of an event.
 *
 * - `recorded`: its row is in the trail under `auditId`.
 * - `duplicate`: it was recorded before, under `auditId`.
 * - `conflict`: `recordedAs` is another event under the same key. This one is a dead letter under `auditId`; where that is null it
 *   is not kept, because `keptConflicts` others are.
 * - `dead_lettered`: the table refused it; it is among the dead letters under `auditId`.
 */
export type Ingested =
  | { readonly status: "recorded" | "duplicate" | "dead_lettered"; readonly auditId: AuditId }
  | {
      readonly status: "conflict"
      readonly auditId: AuditId | null
      readonly recordedAs: AuditId
      /** Whether it is not kept yet. An event that is not kept is new each time that it is sent. */
      readonly isNew: boolean
    }

export interface IngestContext {
  /** The id for a new source, if the identity has none. */
  readonly freshSource: string
  readonly nextId: (now: number) => AuditId
  /** The time of recording, in milliseconds since the epoch. */
  readonly now: number
  /** Timeout of each statement, in milliseconds. */
  readonly statementTimeout: number
}

/** What the batch writes to the database, derived from what the database knew before. */
interface Plan {
  readonly outcomes: ReadonlyArray<Ingested>
  readonly rows: ReadonlyArray<HashedRow>
  /** The keys of `rows`. */
  readonly keys: ReadonlyArray<Statements.IngestConflict>
  readonly letters: ReadonlyArray<{ readonly row: HashedRow; readonly key: Statements.IngestConflict }>
}

const conflictKey = (clientId: string, digest: string): string => `${digest} ${clientId}`

/** Rows made between two turns of the event loop: about a millisecond of work. A batch may take tenths of a second. */
const rowsInTurn = 16

/** Plans the events in order, in steps; each event counts as known for later ones. Numbers continue after `lastSeq`. */
export function* planning(
  events: ReadonlyArray<IngestEvent>,
  known: {
    readonly keys: ReadonlyArray<Statements.IngestKey>
    readonly conflicts: ReadonlyArray<Statements.IngestConflict>
  },
  identity: string,
  { lastSeq, source }: { readonly lastSeq: number; readonly source: string },
  { nextId, now }: Pick<IngestContext, "nextId" | "now">
): Steps<Plan> {
  const keys = new Map(known.keys.map((key) => [key.clientId, key]))
  const conflicts = new Map(known.conflicts.map((key) => [conflictKey(key.clientId, key.digest), key]))
  const kept = new Map<string, number>()
  const keep = (clientId: string) => kept.set(clientId, (kept.get(clientId) ?? 0) + 1)
  for (const { clientId } of known.conflicts) keep(clientId)
  const rows: Array<HashedRow> = []
  const fresh: Array<Statements.IngestConflict> = []
  const letters: Array<Plan["letters"][number]> = []
  let seq = lastSeq
  const rowOf = (event: IngestEvent) => {
    seq += 1
    return makeRow(encodeIngested(identity, event), { id: nextId(now), timestamp: now, source, seq })
  }
  const judge = (event: IngestEvent): Ingested => {
    const { clientId, digest } = event
    const before = keys.get(clientId)
    if (before === undefined) {
      const row = rowOf(event)
      const key = { clientId, digest, auditId: row.id }
      rows.push(row)
      fresh.push(key)
      keys.set(clientId, { ...key, deadLettered: false })
      return { status: "recorded", auditId: row.id }
    }
    if (before.digest === digest) {
      return { status: before.deadLettered ? "dead_lettered" : "duplicate", auditId: before.auditId }
    }
    const knownConflict = conflicts.get(conflictKey(clientId, digest))
    const recordedAs = before.auditId
    if (knownConflict !== undefined)
      return { status: "conflict", auditId: knownConflict.auditId, recordedAs, isNew: false }
    if ((kept.get(clientId) ?? 0) >= keptConflicts)
      return { status: "conflict", auditId: null, recordedAs, isNew: true }
    keep(clientId)
    const row = rowOf(event)
    const key = { clientId, digest, auditId: row.id }
    letters.push({ row, key })
    conflicts.set(conflictKey(clientId, digest), key)
    return { status: "conflict", auditId: row.id, recordedAs, isNew: true }
  }
  const outcomes: Array<Ingested> = []
  for (const [index, event] of events.entries()) {
    if (index % rowsInTurn === rowsInTurn - 1) yield
    outcomes.push(judge(event))
  }
  return { outcomes, rows, keys: fresh, letters }
}
