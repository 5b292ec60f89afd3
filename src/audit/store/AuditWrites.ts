import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Connection } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { canonicalJson, type HashedRow } from "../encoding/AuditRow.ts"
import type { Appended, Rejection } from "./AuditStore.ts"
import { copyColumns, copyPieces } from "./CopyText.ts"

/** What json_to_recordset reads from `jsonBatch`. */
const recordColumns =
  "id uuid, timestamp timestamptz, source uuid, seq bigint, ghost_id text, shell_id text, action text, resource text, " +
  "result text, reason text, request_id text, metadata jsonb, marks text[], leaf_hash bytea"

/** A row that is among the dead letters and can be written after all is a replay, by $2: each event counts in one place. */
const insertStatement = `
  with inserted as (
    insert into gatekeeper.audit_log (${copyColumns})
    select ${copyColumns} from json_to_recordset($1) as batch (${recordColumns})
    on conflict (id) do nothing
    returning id, leaf_hash
  ), replayed as (
    insert into gatekeeper.audit_dead_letter_replay (event_id, leaf_hash, by, outcome)
    select letter.event_id, letter.leaf_hash, $2, 'replayed'
    from inserted join gatekeeper.audit_dead_letter as letter
      on letter.event_id = inserted.id and letter.leaf_hash = inserted.leaf_hash
    on conflict do nothing
    returning event_id
  )
  select (select count(*) from inserted)::integer as inserted, (select count(*) from replayed)::integer as replayed`

const decodeInserted = Schema.decodeUnknown(
  Schema.Tuple(Schema.Struct({ inserted: Schema.Number, replayed: Schema.Number }))
)

/** A statement of its own: it sees what a transaction that ended while the insert waited for it has written. */
const conflictStatement = `
  select recorded.id
  from json_to_recordset($1) as batch (${recordColumns})
  join gatekeeper.audit_log as recorded on recorded.id = batch.id
  where (recorded.source, recorded.seq, recorded.leaf_hash) is distinct from (batch.source, batch.seq, batch.leaf_hash)`

/**
 * Begins a transaction and bounds it: the server gives a statement up a moment before we do, so that a session that we have left
 * does not go on waiting for a lock. Local to the transaction, since a pooler may hand the session to others. Both in one
 * message: on a busy machine each round trip costs the drain as much as dozens of rows.
 */
export const beginBounded = (millis: number): string => `begin; set local statement_timeout = ${millis}`

/** In the same message, for the same reason. */
const copyStatement = (statementTimeout: number): string =>
  `${beginBounded(statementTimeout)}; copy gatekeeper.audit_log (${copyColumns}) from stdin`

/**
 * Last in each transaction, so that a session that is stuck before holds no lock on it: signing off needs the same row. The
 * counts go with the rows: a COMMIT whose answer is lost has written both or neither.
 */
const advanceStatement = `
  insert into gatekeeper.audit_source as known (source, last_seq, last_at, committed, dead_lettered, replayed)
  values ($1, $2, clock_timestamp(), $3, $4, $5)
  on conflict (source) do update
  set last_seq = greatest(known.last_seq, excluded.last_seq), last_at = excluded.last_at,
    committed = known.committed + excluded.committed,
    dead_lettered = known.dead_lettered + excluded.dead_lettered,
    replayed = known.replayed + excluded.replayed`

/** Not when the very row is in the table: it was written by a COMMIT whose answer was lost, and needs no letter. */
const deadLetterStatement = `
  insert into gatekeeper.audit_dead_letter (event_id, leaf_hash, source, seq, body, sqlstate, reason, attempts)
  select $1::uuid, decode($2, 'hex'), $3::uuid, $4::bigint, $5::bytea, $6::text, $7::text, $8::integer
  where not exists (
    select from gatekeeper.audit_log
    where id = $1::uuid and source = $3::uuid and seq = $4::bigint and leaf_hash = decode($2, 'hex')
  )
  on conflict (event_id, leaf_hash) do nothing`

/** The canonical event has the columns' names; only its hash is to be added. */
const jsonBatch = (rows: ReadonlyArray<HashedRow>): string =>
  `[${rows.map((row) => `${canonicalJson(row).slice(0, -1)},"leaf_hash":"\\\\x${row.leafHash}"}`).join(",")}]`

/** Rows that a transaction inserted: what a source's counters grow by. */
export interface Inserted {
  readonly committed: number
  readonly deadLettered: number
  /** Of `committed`: dead letters until now. */
  readonly replayed: number
}

/** Writes the rows that are not in the table yet, and tells which ids it holds with another content. */
export const insertTolerantly = Effect.fnUntraced(function* (
  connection: Connection,
  rows: ReadonlyArray<HashedRow>,
  by: string
) {
  const batch = jsonBatch(rows)
  const answer = yield* connection.query(insertStatement, [batch, by])
  const [{ inserted, replayed }] = yield* Effect.orDie(decodeInserted(answer.rows))
  if (inserted === rows.length) return { inserted, replayed, conflicts: [] }
  const differing = yield* connection.query(conflictStatement, [batch])
  const ids = new Set(differing.rows.map((row) => row["id"]))
  return { inserted, replayed, conflicts: rows.filter((row) => ids.has(row.id)) }
})

/** Counts what a transaction wrote of a source, up to `lastSeq`. */
export const advanceSource = (connection: Connection, source: string, lastSeq: number, inserted: Inserted) =>
  connection.query(advanceStatement, [source, lastSeq, inserted.committed, inserted.deadLettered, inserted.replayed])

export const conflictReason = "the table holds another event under this id"

/** Answers whether the letter is new. */
export const insertDeadLetter = (connection: Connection, row: HashedRow, why: Rejection) =>
  Effect.map(
    connection.query(deadLetterStatement, [
      row.id,
      row.leafHash,
      row.source,
      row.seq,
      Buffer.from(canonicalJson(row)),
      why.sqlstate,
      why.reason.replaceAll("\0", "\ufffd"),
      why.attempts
    ]),
    ({ rowCount }) => rowCount === 1
  )

/** What a writing session runs. The server gives each statement up after `statementTimeout` milliseconds. */
export const write = (connection: Connection, statementTimeout: number) => {
  const begin = connection.query(beginBounded(statementTimeout))
  const inTransaction = <A, E>(body: Effect.Effect<A, E>) => connection.transaction(body, { begun: true })

  const advance = (rows: ReadonlyArray<HashedRow>, inserted: Inserted) => {
    const last = rows.at(-1)
    return last === undefined ? Effect.void : advanceSource(connection, last.source, last.seq, inserted)
  }

  const copied = (rows: ReadonlyArray<HashedRow>) =>
    Effect.as(connection.copyIn(copyStatement(statementTimeout), copyPieces(rows)), {
      conflicts: [],
      inserted: { committed: rows.length, deadLettered: 0, replayed: 0 }
    })

  const tolerant = Effect.fnUntraced(function* (rows: ReadonlyArray<HashedRow>) {
    const { conflicts, inserted, replayed } = yield* insertTolerantly(connection, rows, "drain")
    let deadLettered = 0
    for (const row of conflicts) {
      if (yield* insertDeadLetter(connection, row, { sqlstate: "23505", reason: conflictReason, attempts: 1 }))
        deadLettered += 1
    }
    return {
      conflicts: conflicts.map((row) => row.id),
      inserted: { committed: inserted, deadLettered, replayed }
    }
  })

  return {
    append: (rows: ReadonlyArray<HashedRow>, certain: boolean): Effect.Effect<Appended, DatabaseError> =>
      Effect.gen(function* () {
        const { conflicts, inserted } = certain ? yield* copied(rows) : yield* Effect.zipRight(begin, tolerant(rows))
        yield* advance(rows, inserted)
        return { conflicts }
      }).pipe(inTransaction),
    deadLetter: (row: HashedRow, why: Rejection) =>
      Effect.gen(function* () {
        yield* begin
        const isNew = yield* insertDeadLetter(connection, row, why)
        yield* advance([row], { committed: 0, deadLettered: isNew ? 1 : 0, replayed: 0 })
      }).pipe(inTransaction)
  }
}
