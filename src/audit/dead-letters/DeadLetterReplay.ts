import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { AuditEvent } from "../../domain/AuditEvent.ts"
import type { Connection } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { queryRows } from "../../platform/postgres/Rows.ts"
import type { AuditId } from "../encoding/AuditId.ts"
import { type HashedRow, makeRow } from "../encoding/AuditRow.ts"
import { rowOf } from "../encoding/CanonicalRow.ts"
import { conflictMark, encodeEvent } from "../encoding/EventEncoding.ts"
import { registerWithin } from "../store/AuditIncarnation.ts"
import { type Incarnation, refusedRow } from "../store/AuditStore.ts"
import {
  advanceSource,
  beginBounded,
  conflictReason,
  insertTolerantly,
  isConflict,
  isReplayed
} from "../store/AuditWrites.ts"
import { describe, retryClass } from "../store/RetryClass.ts"

/** The key of a dead letter: letters of one event id differ in their content. */
export interface LetterKey {
  readonly eventId: string
  /** 64 hexadecimal digits. */
  readonly leafHash: string
}

/**
 * - `replayed`: its row was written from the original bytes.
 * - `present`: the table held the same row already.
 * - `settled`: it was replayed before; nothing was done.
 * - `refused`: the table holds another event under its id, or the bytes are not an event.
 * - `failed`: the table refused the row again.
 */
export type ReplayOutcome = "replayed" | "present" | "settled" | "refused" | "failed"

export interface Replayed extends LetterKey {
  readonly outcome: ReplayOutcome
  /** Why it was refused or failed. */
  readonly detail: string | null
  /** The event that reports the replay in the trail; null unless this replay settled the letter. */
  readonly auditId: string | null
}

/** The parts of a dead letter that its replay needs. */
const Letter = Schema.Struct({
  source: Schema.String,
  seq: Schema.NumberFromString,
  body: Schema.Uint8ArrayFromSelf,
  sqlstate: Schema.NullOr(Schema.String),
  /** Whether an earlier replay settled it. */
  settled: Schema.Boolean,
  conflict: Schema.optional(Schema.Boolean)
})
export type Letter = LetterKey & typeof Letter.Type

/** Decodes the row of a letter, or tells why its bytes are not the event of that letter. */
export const rowOfLetter = (letter: Letter): Either.Either<HashedRow, string> => {
  const row = rowOf(Buffer.from(letter.body).toString("utf8"))
  if (row === undefined) return Either.left("its bytes are not a canonical event")
  const same =
    row.id === letter.eventId &&
    row.leafHash === letter.leafHash &&
    row.source === letter.source &&
    row.seq === letter.seq
  return same ? Either.right(row) : Either.left("its bytes are of another event than the letter names")
}

/** Adds the mark of a conflict to the row of one that an earlier version kept without it. */
const markedRow = (letter: Letter, row: HashedRow): HashedRow =>
  letter.conflict !== true || row.marks.includes(conflictMark)
    ? row
    : makeRow({ ...row, marks: [...row.marks, conflictMark].sort() }, row)

/** Makes the event that reports a replay in the trail. */
const replayEvent = (letter: Letter, outcome: "replayed" | "present", by: string): AuditEvent => ({
  action: "audit/replay",
  resource: `audit/dead-letters/${letter.eventId}`,
  ghostId: null,
  shellId: null,
  result: "REPLAYED",
  reason: `${by} brought a dead letter into the trail`,
  requestId: null,
  facts: {
    audit_id: letter.eventId,
    leaf_hash: letter.leafHash,
    source: letter.source,
    seq: letter.seq,
    refused_for: letter.sqlstate,
    outcome,
    by
  }
})

/** Whether the row caused the error, so that other letters can be replayed. */
const isOfRow = (error: DatabaseError): boolean =>
  error.sqlstate !== undefined && retryClass(error) !== "transient" && !/^(28|3D|3F|42)/.test(error.sqlstate)

/** Locks the letter until the transaction ends: of concurrent replays the second finds it settled. */
const lockStatement = "select pg_advisory_xact_lock(hashtextextended('gatekeeper.audit_dead_letter ' || $1, 0))"

const letterStatement = `
  select source, seq, body, sqlstate, ${isReplayed} as settled, ${isConflict} as conflict
  from gatekeeper.audit_dead_letter as letter
  where event_id = $1 and leaf_hash = decode($2, 'hex')`

const recordStatement = `
  insert into gatekeeper.audit_dead_letter_replay (event_id, leaf_hash, by, outcome, detail)
  values ($1, decode($2, 'hex'), $3, $4, $5)`

/** Leaves `last_at` of the source unchanged, because another process replays its letters. */
const countStatement = `
  insert into gatekeeper.audit_source as known (source, last_seq, committed, replayed) values ($1, $2, 1, 1)
  on conflict (source) do update
  set last_seq = greatest(known.last_seq, excluded.last_seq), committed = known.committed + 1, replayed = known.replayed + 1`

/** A replay in progress. */
export interface Replay {
  readonly connection: Connection
  /** The person who replays. */
  readonly by: string
  /** The incarnation that replays. */
  readonly incarnation: Incarnation
  readonly nextId: (now: number) => AuditId
  /** In milliseconds. */
  readonly statementTimeout: number
  readonly done: Array<Replayed>
  /** The last number given to an event that reports a replay. */
  seq: number
  /** Whether an event of the incarnation may be in the trail. */
  toSignOff: boolean
}

/** The month of the row has no partition. Nothing was changed; create the partition and try the letter again. */
export interface NoPartition {
  readonly _tag: "NoPartition"
  readonly error: DatabaseError
}

/**
 * Replays one letter in one transaction, which writes its row, the counters, the record of the replay and the event that reports
 * it. Undefined when the letter does not exist. With `partitionAsked` a letter whose partition is missing fails.
 */
export const replayLetter = (
  replay: Replay,
  key: LetterKey,
  partitionAsked: boolean
): Effect.Effect<Replayed | undefined, DatabaseError | NoPartition> => {
  const { by, connection, incarnation } = replay

  /** A refused statement aborts its transaction unless a savepoint precedes it. */
  const tried = <A>(statement: Effect.Effect<A, DatabaseError>) =>
    Effect.zipRight(
      connection.query("savepoint letter"),
      Effect.catchAll(
        Effect.map(statement, Either.right),
        (error): Effect.Effect<Either.Either<A, string>, DatabaseError | NoPartition> => {
          if (retryClass(error) === "partition" && !partitionAsked) return Effect.fail({ _tag: "NoPartition", error })
          if (!isOfRow(error)) return Effect.fail(error)
          return Effect.as(connection.query("rollback to savepoint letter"), Either.left(describe(error)))
        }
      )
    )

  /** `inserted` is the row of the letter, unless the table held it already. */
  const report = Effect.fnUntraced(function* (
    letter: Letter,
    outcome: "replayed" | "present",
    inserted: ReadonlyArray<HashedRow>
  ) {
    yield* connection.query(countStatement, [letter.source, letter.seq])
    const timestamp = yield* Clock.currentTimeMillis
    const identity = { id: replay.nextId(timestamp), timestamp, source: incarnation.source, seq: replay.seq + 1 }
    const row = makeRow(encodeEvent(replayEvent(letter, outcome, by)), identity)
    yield* insertTolerantly(connection, [row], by)
    yield* registerWithin(connection, incarnation)
    yield* advanceSource(connection, row.source, row.seq, { committed: 1, deadLettered: 0, replayed: 0 }, [
      ...inserted,
      row
    ])
    return { ...key, outcome, detail: null, auditId: row.id }
  })

  const record = (outcome: ReplayOutcome, detail: string | null) =>
    connection.query(recordStatement, [key.eventId, key.leafHash, by, outcome, detail])

  const without = (outcome: "refused" | "failed", detail: string) =>
    Effect.as(record(outcome, detail), { ...key, outcome, detail, auditId: null })

  return Effect.gen(function* () {
    yield* connection.query(beginBounded(replay.statementTimeout))
    yield* connection.query(lockStatement, [key.eventId])
    const values = [key.eventId, key.leafHash]
    const [found] = yield* queryRows(connection, Schema.Array(Letter), letterStatement, values)
    if (found === undefined) return undefined
    const letter = { ...key, ...found }
    if (letter.sqlstate === refusedRow) {
      return yield* without("refused", "the gatekeeper refused the row: its sender may not record it")
    }
    if (letter.settled) return { ...key, outcome: "settled" as const, detail: null, auditId: null }
    const original = rowOfLetter(letter)
    if (Either.isLeft(original)) return yield* without("refused", original.left)
    const row = markedRow(letter, original.right)
    const written = yield* tried(insertTolerantly(connection, [row], by))
    if (Either.isLeft(written)) return yield* without("failed", written.left)
    if (written.right.conflicts.length > 0) return yield* without("refused", conflictReason)
    if (written.right.inserted.length === 1) {
      // The insert records only the replay of a letter whose row is as it was.
      if (row.leafHash !== letter.leafHash) yield* record("replayed", `with the mark ${conflictMark}`)
      return yield* report(letter, "replayed", written.right.inserted)
    }
    yield* record("present", null)
    return yield* report(letter, "present", [])
  }).pipe((body) => connection.transaction(body, { begun: true }))
}
