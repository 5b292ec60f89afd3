import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { inTurns } from "../../platform/os/EventLoop.ts"
import type { Connection } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import type { AuditId } from "../encoding/AuditId.ts"
import type { HashedRow } from "../encoding/AuditRow.ts"
import {
  advanceSource,
  beginBounded,
  conflictReason,
  insertDeadLetter,
  insertTolerantly
} from "../store/AuditWrites.ts"
import { describe, retryClass } from "../store/RetryClass.ts"
import type { IngestEvent } from "./IngestEvent.ts"
import { type IngestContext, type Ingested, planning } from "./IngestPlan.ts"
import * as Statements from "./IngestStatements.ts"

/** Whether one row may have caused the error, so that the others can be written without it. */
const mayBeRowError = (error: DatabaseError): boolean => {
  const kind = retryClass(error)
  return error.phase === "statement" && (kind === "data" || kind === "unknown" || kind === "doubt")
}

/** Inserts the rows that the table accepts; the others become dead letters. Returns the ids of the dead letters. */
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
    if (!mayBeRowError(error)) return yield* error
    yield* connection.query("rollback to savepoint part")
    const [first] = rows
    if (rows.length === 1 && first !== undefined) {
      return [yield* letter(first, error.sqlstate ?? null, describe(error))]
    }
    const half = Math.ceil(rows.length / 2)
    return [
      ...(yield* insertWhatFits(connection, rows.slice(0, half))),
      ...(yield* insertWhatFits(connection, rows.slice(half)))
    ]
  })

/**
 * Records the events of one identity in one transaction, each once, and returns the outcomes in order. After an error nothing is
 * written. After an error of phase `commit` everything may be: sent again, written events are duplicates.
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
    const plan = yield* inTurns(() => planning(events, { keys, conflicts }, identity, place, context))
    const refused = new Set(yield* insertWhatFits(connection, plan.rows))
    yield* Statements.insertLetters(connection, identity, plan.letters)
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
        outcome.auditId !== null && refused.has(outcome.auditId)
          ? { status: "dead_lettered", auditId: outcome.auditId }
          : outcome
    )
  }).pipe((body) => connection.transaction(body, { begun: true }))
