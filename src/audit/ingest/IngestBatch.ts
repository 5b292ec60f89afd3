import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Connection } from "../../platform/Connection.ts"
import type { DatabaseError } from "../../platform/DatabaseError.ts"
import type { AuditId } from "../AuditId.ts"
import { type HashedRow, makeRow } from "../AuditRow.ts"
import { advanceSource, beginBounded, conflictReason, insertDeadLetter, insertTolerantly } from "../AuditWrites.ts"
import { wordsOf } from "../Drain.ts"
import { retryClass } from "../RetryClass.ts"
import { encodeIngested, type IngestEvent } from "./IngestEvent.ts"
import * as Statements from "./IngestStatements.ts"

/**
 * What became of an event.
 *
 * - `recorded`: its row is in the trail under `auditId`.
 * - `duplicate`: it was recorded before, under `auditId`.
 * - `conflict`: `recordedAs` is another event under the same key; this one is among the dead letters under `auditId`.
 * - `dead_lettered`: the table refused it; it is among the dead letters under `auditId`.
 */
export type Ingested =
  | { readonly status: "recorded" | "duplicate" | "dead_lettered"; readonly auditId: AuditId }
  | { readonly status: "conflict"; readonly auditId: AuditId; readonly recordedAs: AuditId; readonly isNew: boolean }

export interface IngestContext {
  /** For the source of an identity that has none. */
  readonly freshSource: string
  readonly nextId: (now: number) => AuditId
  /** Milliseconds since the epoch: when the events are recorded. */
  readonly now: number
  /** Of each statement, milliseconds. */
  readonly statementTimeout: number
}

/** What a batch asks the database to write, by what it knew before. */
interface Plan {
  readonly outcomes: ReadonlyArray<Ingested>
  readonly rows: ReadonlyArray<HashedRow>
  /** Of `rows`, by id. */
  readonly keys: ReadonlyArray<Statements.IngestConflict>
  readonly letters: ReadonlyArray<{ readonly row: HashedRow; readonly key: Statements.IngestConflict }>
}

const conflictKey = (clientId: string, digest: string): string => `${digest} ${clientId}`

/** Judges the events in order; those after an event know it. Numbers go on from `lastSeq`. */
export const planOf = (
  events: ReadonlyArray<IngestEvent>,
  known: {
    readonly keys: ReadonlyArray<Statements.IngestKey>
    readonly conflicts: ReadonlyArray<Statements.IngestConflict>
  },
  identity: string,
  { lastSeq, source }: { readonly lastSeq: number; readonly source: string },
  { nextId, now }: Pick<IngestContext, "nextId" | "now">
): Plan => {
  const keys = new Map(known.keys.map((key) => [key.clientId, key]))
  const conflicts = new Map(known.conflicts.map((key) => [conflictKey(key.clientId, key.digest), key]))
  const rows: Array<HashedRow> = []
  const fresh: Array<Statements.IngestConflict> = []
  const letters: Array<Plan["letters"][number]> = []
  let seq = lastSeq
  const rowOf = (event: IngestEvent) => {
    seq += 1
    return makeRow(encodeIngested(identity, event), { id: nextId(now), timestamp: now, source, seq })
  }
  const outcomes = events.map((event): Ingested => {
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
    const told = conflicts.get(conflictKey(clientId, digest))
    const recordedAs = before.auditId
    if (told !== undefined) return { status: "conflict", auditId: told.auditId, recordedAs, isNew: false }
    const row = rowOf(event)
    const key = { clientId, digest, auditId: row.id }
    letters.push({ row, key })
    conflicts.set(conflictKey(clientId, digest), key)
    return { status: "conflict", auditId: row.id, recordedAs, isNew: true }
  })
  return { outcomes, rows, keys: fresh, letters }
}

/** A row may be at fault, not the database or the role: the others can be written without it. */
const mayBeOfRow = (error: DatabaseError): boolean => {
  const kind = retryClass(error)
  return error.phase === "statement" && (kind === "data" || kind === "unknown" || kind === "doubt")
}

/** Writes what the table takes; what it refuses becomes a dead letter. Answers the ids of these. */
const insertWhatFits = (
  connection: Connection,
  rows: ReadonlyArray<HashedRow>
): Effect.Effect<ReadonlyArray<AuditId>, DatabaseError> =>
  Effect.gen(function* () {
    if (rows.length === 0) return []
    yield* connection.query("savepoint part")
    const written = yield* Effect.either(insertTolerantly(connection, rows, "ingest"))
    const letter = (row: HashedRow, sqlstate: string | null, reason: string) =>
      Effect.as(insertDeadLetter(connection, row, { sqlstate, reason, attempts: 1 }), row.id)
    if (Either.isRight(written)) {
      return yield* Effect.forEach(written.right.conflicts, (row) => letter(row, "23505", conflictReason))
    }
    const error = written.left
    if (!mayBeOfRow(error)) return yield* error
    yield* connection.query("rollback to savepoint part")
    const [first] = rows
    if (rows.length === 1 && first !== undefined) {
      return [yield* letter(first, error.sqlstate ?? null, wordsOf(error))]
    }
    const half = Math.ceil(rows.length / 2)
    return [
      ...(yield* insertWhatFits(connection, rows.slice(0, half))),
      ...(yield* insertWhatFits(connection, rows.slice(half)))
    ]
  })

/**
 * Records the events of one identity in one transaction, each once, and answers for each in order. An error leaves nothing
 * written; of phase `commit`, maybe all: sent again, what was written is a duplicate.
 */
export const ingestBatch = (
  connection: Connection,
  identity: string,
  events: ReadonlyArray<IngestEvent>,
  context: IngestContext
): Effect.Effect<ReadonlyArray<Ingested>, DatabaseError> =>
  Effect.gen(function* () {
    yield* connection.query(beginBounded(context.statementTimeout))
    const clientIds = [...new Set(events.map(({ clientId }) => clientId))]
    const place = yield* Statements.lockSource(connection, identity, context.freshSource)
    const keys = yield* Statements.readKeys(connection, identity, clientIds)
    const conflicts = keys.length === 0 ? [] : yield* Statements.readConflicts(connection, identity, clientIds)
    const plan = planOf(events, { keys, conflicts }, identity, place, context)
    const refused = new Set(yield* insertWhatFits(connection, plan.rows))
    for (const { key, row } of plan.letters) {
      const reason = `the client ${identity} sent another event under the key of one that it had sent before: ${key.clientId}`
      yield* insertDeadLetter(connection, row, { sqlstate: "23505", reason, attempts: 1 })
    }
    yield* Statements.insertKeys(
      connection,
      identity,
      plan.keys.map((key) => ({ ...key, deadLettered: refused.has(key.auditId) }))
    )
    yield* Statements.insertConflicts(
      connection,
      identity,
      plan.letters.map(({ key }) => key)
    )
    const written = plan.rows.length + plan.letters.length
    if (written > 0) {
      const deadLettered = refused.size + plan.letters.length
      const counts = { committed: written - deadLettered, deadLettered, replayed: 0 }
      yield* advanceSource(connection, place.source, place.lastSeq + written, counts)
    }
    return plan.outcomes.map(
      (outcome): Ingested =>
        refused.has(outcome.auditId) ? { status: "dead_lettered", auditId: outcome.auditId } : outcome
    )
  }).pipe((body) => connection.transaction(body, { begun: true }))
