import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { keptConflicts } from "../../contracts/gatekeeper/IngestSchemas.ts"
import { type AuditEvent, originMembers } from "../../domain/AuditEvent.ts"
import { runInSteps, type SteppedComputation } from "../../platform/os/EventLoop.ts"
import type { Connection } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import type { AuditId } from "../encoding/AuditId.ts"
import { type EncodedEvent, type HashedRow, makeRow } from "../encoding/AuditRow.ts"
import { encodeCanonical } from "../encoding/CanonicalJson.ts"
import { conflictMark, encodeEvent } from "../encoding/EventEncoding.ts"
import {
  advanceSource,
  beginBounded,
  conflictReason,
  insertDeadLetter,
  insertTolerantly
} from "../store/AuditWrites.ts"
import { describe, retryClass } from "../store/RetryClass.ts"
import * as Statements from "./IngestStatements.ts"

/** An event as an ingest client sent it. All of it is the client's claim. */
export interface IngestEvent {
  /** The client's own key: 1 to 200 characters, well-formed and without NUL. */
  readonly clientId: string
  readonly event: AuditEvent
  /** RFC 3339 with a zone; null where the client sent no time. */
  readonly occurredAt: string | null
  /** SHA-256 of the event as it is understood, 64 hexadecimal digits: tells a repeat from another event under the same key. */
  readonly digest: string
  /** Another digest, by which an older version of the program may know the same event. */
  readonly formerDigest?: string
}

/** Bounds of the member `ingest`: small, because each of its parts is bounded before. */
const ingestBudget = { depth: 2, members: 8, size: 16_384, key: 128 } as const

const leftOut: ReadonlySet<string> = new Set(originMembers)

/**
 * Encodes the event for its row. The client's metadata go into the member `claimed`, so that they cannot replace the member
 * `ingest`, which names the sender. Only names of an origin are left out there: the others cannot be taken for the program's own.
 */
const encodeIngested = (identity: string, { clientId, event, occurredAt }: IngestEvent): EncodedEvent => {
  const encoded = encodeEvent(event, { leftOut })
  const ingest = encodeCanonical({ by: identity, id: clientId, occurred_at: occurredAt }, ingestBudget).json
  // In the order of RFC 8785.
  return { ...encoded, metadata: `{"claimed":${encoded.metadata},"ingest":${ingest}}` }
}

/**
 * The outcome of an event.
 *
 * - `recorded`: its row is in the trail under `auditId`. `marks` says what was cut, cleaned or left out; absent where nothing was.
 * - `duplicate`: it was recorded before, under `auditId`.
 * - `conflict`: `recordedAs` is another event under the same key. This one is a dead letter under `auditId`; where that is null it
 *   is not kept, because `keptConflicts` others are.
 * - `dead_lettered`: the table refused it; it is among the dead letters under `auditId`.
 */
export type Ingested =
  | {
      readonly status: "recorded" | "duplicate" | "dead_lettered"
      readonly auditId: AuditId
      readonly marks?: ReadonlyArray<string>
    }
  | {
      readonly status: "conflict"
      readonly auditId: AuditId | null
      readonly recordedAs: AuditId
      /** Whether an operator brought it into the trail, by its name. */
      readonly isReplayed?: boolean
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
    readonly conflicts: ReadonlyArray<Statements.KnownConflict>
  },
  identity: string,
  { lastSeq, source }: { readonly lastSeq: number; readonly source: string },
  { nextId, now }: Pick<IngestContext, "nextId" | "now">
): SteppedComputation<Plan> {
  const keys = new Map(known.keys.map((key) => [key.clientId, key]))
  const conflicts = new Map<string, Statements.KnownConflict>(
    known.conflicts.map((key) => [conflictKey(key.clientId, key.digest), key])
  )
  const kept = new Map<string, number>()
  const keep = (clientId: string) => kept.set(clientId, (kept.get(clientId) ?? 0) + 1)
  for (const { clientId } of known.conflicts) keep(clientId)
  const rows: Array<HashedRow> = []
  const fresh: Array<Statements.IngestConflict> = []
  const letters: Array<Plan["letters"][number]> = []
  let seq = lastSeq
  const rowOf = (event: IngestEvent, marks: ReadonlyArray<string> = []) => {
    seq += 1
    const encoded = encodeIngested(identity, event)
    const marked = marks.length === 0 ? encoded : { ...encoded, marks: [...encoded.marks, ...marks].sort() }
    const row = makeRow(marked, { id: nextId(now), timestamp: now, source, seq })
    return { row, key: { clientId: event.clientId, digest: event.digest, auditId: row.id } }
  }
  const judge = (event: IngestEvent): Ingested => {
    const { clientId, digest, formerDigest = digest } = event
    const before = keys.get(clientId)
    if (before === undefined) {
      const { key, row } = rowOf(event)
      rows.push(row)
      fresh.push(key)
      keys.set(clientId, { ...key, deadLettered: false })
      return { status: "recorded", auditId: row.id, ...(row.marks.length === 0 ? {} : { marks: row.marks }) }
    }
    if (before.digest === digest || before.digest === formerDigest) {
      return { status: before.deadLettered ? "dead_lettered" : "duplicate", auditId: before.auditId }
    }
    const knownConflict =
      conflicts.get(conflictKey(clientId, digest)) ?? conflicts.get(conflictKey(clientId, formerDigest))
    const recordedAs = before.auditId
    if (knownConflict !== undefined) {
      const { auditId, isReplayed = false } = knownConflict
      return { status: "conflict", auditId, recordedAs, isReplayed, isNew: false }
    }
    if ((kept.get(clientId) ?? 0) >= keptConflicts)
      return { status: "conflict", auditId: null, recordedAs, isNew: true }
    keep(clientId)
    const letter = rowOf(event, [conflictMark])
    letters.push(letter)
    conflicts.set(conflictKey(clientId, digest), letter.key)
    return { status: "conflict", auditId: letter.row.id, recordedAs, isNew: true }
  }
  const outcomes: Array<Ingested> = []
  for (const [index, event] of events.entries()) {
    if (index % rowsInTurn === rowsInTurn - 1) yield
    outcomes.push(judge(event))
  }
  return { outcomes, rows, keys: fresh, letters }
}

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
    const plan = yield* runInSteps(() => planning(events, { keys, conflicts }, identity, place, context))
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
      const inserted = plan.rows.filter(({ id }) => !refused.has(id))
      yield* advanceSource(connection, place.source, place.lastSeq + written, counts, inserted)
    }
    return plan.outcomes.map(
      (outcome): Ingested =>
        outcome.auditId !== null && refused.has(outcome.auditId)
          ? { status: "dead_lettered", auditId: outcome.auditId }
          : outcome
    )
  }).pipe((body) => connection.transaction(body, { begun: true }))
