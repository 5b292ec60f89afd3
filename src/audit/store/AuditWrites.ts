import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import Pg from "pg"
import type { Connection } from "../../platform/postgres/Connection.ts"
import { queryRows } from "../../platform/postgres/Rows.ts"
import { canonicalJson, columnDefinitions, columnList, type HashedRow, isoTime } from "../encoding/AuditRow.ts"
import type { Rejection } from "./AuditStore.ts"
import { intakeClause, intakeValues } from "./IntakeRows.ts"

/** A dead letter that can be written after all is recorded as a replay by $2, so that each event counts in one place. */
const insertStatement = `
  with inserted as (
    insert into gatekeeper.audit_log (${columnList})
    select ${columnList} from json_to_recordset($1) as batch (${columnDefinitions})
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
  select array(select id from inserted) as inserted, (select count(*) from replayed)::integer as replayed`

const InsertedRow = Schema.Tuple(Schema.Struct({ inserted: Schema.Array(Schema.String), replayed: Schema.Number }))

/** A statement of its own, so that it sees the rows of a transaction that ended while the insert waited for it. */
const conflictStatement = `
  select recorded.id
  from json_to_recordset($1) as batch (${columnDefinitions})
  join gatekeeper.audit_log as recorded on recorded.id = batch.id
  where (recorded.source, recorded.seq, recorded.leaf_hash) is distinct from (batch.source, batch.seq, batch.leaf_hash)`

/**
 * Begins a transaction and bounds its statements: the server cancels a statement shortly before the client gives up, so an
 * abandoned session does not keep waiting for a lock. A session whose client is lost without a word ends after `idleMillis`, and
 * releases its locks. Both are local, because a pooler may hand the session to others. All are one message: on a busy machine a round
 * trip costs the writer as much as dozens of rows.
 */
export const beginBounded = (millis: number, idleMillis = millis): string =>
  `begin; set local statement_timeout = ${millis}; set local idle_in_transaction_session_timeout = ${idleMillis}`

/** The server's timeout of a statement, in milliseconds, for a client that gives up after `deadline`. */
export const timeoutWithin = (deadline: Duration.Duration): number =>
  Math.max(1, Math.floor(Duration.toMillis(deadline) * 0.9))

/** The values of `advanceStatement`: a source, its last number, and the increments of its counters. */
type Advance = readonly [
  source: string,
  lastSeq: string,
  committed: string,
  deadLettered: string,
  replayed: string,
  /** The rows that the transaction inserted, for the tree, as `intakeValues` gives them. */
  runs: string,
  entries: string
]

/**
 * The last statement of each transaction, so that a session that is stuck earlier holds no lock on the row, which signing off
 * needs. The counts are written with the rows: a COMMIT whose answer is lost has written both or neither.
 */
const advanceStatement = ([source, lastSeq, committed, deadLettered, replayed, runs, entries]: Advance): string => `
  ${intakeClause(runs, entries)}
  insert into gatekeeper.audit_source as known (source, last_seq, last_at, committed, dead_lettered, replayed)
  values (${source}, ${lastSeq}, clock_timestamp(), ${committed}, ${deadLettered}, ${replayed})
  on conflict (source) do update
  set last_seq = greatest(known.last_seq, excluded.last_seq), last_at = excluded.last_at,
    committed = known.committed + excluded.committed,
    dead_lettered = known.dead_lettered + excluded.dead_lettered,
    replayed = known.replayed + excluded.replayed`

const advanceByParameters = advanceStatement(["$1", "$2", "$3", "$4", "$5", "$6", "$7"])

/** The driver goes through a text character by character, also where there is nothing to escape. */
const literal = (value: string | number): string => {
  const text = String(value)
  return text.includes("'") || text.includes("\\") ? Pg.escapeLiteral(text) : `'${text}'`
}

/** The share of COPY in the time of its message. The client bounds the message as a whole, the server each statement in it. */
const copyShare = 0.8

/**
 * Begins a transaction, copies rows of one source up to `lastSeq`, and advances the source, all in one message. A simple query
 * has no parameters, so the values are literals. COMMIT is not part of it: the server would commit without us, even after a look-up
 * of the rows found none and the source was signed off.
 */
export const copyStatement = (
  source: string,
  lastSeq: number,
  rows: ReadonlyArray<HashedRow>,
  statementTimeout: number
): string => {
  const copyTimeout = Math.ceil(statementTimeout * copyShare)
  const [runs, entries] = intakeValues(rows)
  return (
    `${beginBounded(copyTimeout, statementTimeout)}; copy gatekeeper.audit_log (${columnList}) from stdin; ` +
    `set local statement_timeout = ${Math.max(1, statementTimeout - copyTimeout)};` +
    advanceStatement([
      literal(source),
      literal(lastSeq),
      literal(rows.length),
      "0",
      "0",
      literal(runs),
      literal(entries)
    ])
  )
}

/** Writes no letter when the same row is in the table: it was written by a COMMIT whose answer was lost. */
const deadLetterStatement = `
  insert into gatekeeper.audit_dead_letter (event_id, leaf_hash, source, seq, body, sqlstate, reason, attempts)
  select $1::uuid, decode($2, 'hex'), $3::uuid, $4::bigint, $5::bytea, $6::text, $7::text, $8::integer
  where not exists (
    select from gatekeeper.audit_log
    where id = $1::uuid and source = $3::uuid and seq = $4::bigint and leaf_hash = decode($2, 'hex')
  )
  on conflict (event_id, leaf_hash) do nothing`

/** Whether the dead letter `letter` is in the trail by now. */
export const isReplayed = `exists (
  select from gatekeeper.audit_dead_letter_replay as replay
  where (replay.event_id, replay.leaf_hash) = (letter.event_id, letter.leaf_hash)
    and replay.outcome in ('replayed', 'present')
)`

/** Whether `letter` is an event of an ingest client whose key was used for another event. */
export const isConflict = `exists (
  select from gatekeeper.audit_ingest_conflict as conflict where conflict.audit_id = letter.event_id
)`

/** The canonical event has the names of the columns; only its hash is added. */
export const jsonBatch = (rows: ReadonlyArray<HashedRow>): string =>
  `[${rows.map((row) => `${canonicalJson(row).slice(0, -1)},"leaf_hash":"\\\\x${row.leafHash}"}`).join(",")}]`

/** Rows that a transaction inserted: the increments of a source's counters. */
export interface Inserted {
  readonly committed: number
  readonly deadLettered: number
  /** Of `committed`: rows that were dead letters before. */
  readonly replayed: number
}

/** Inserts the rows that are not in the table yet. Returns these, and the rows whose id the table holds with another content. */
export const insertTolerantly = Effect.fnUntraced(function* (
  connection: Connection,
  rows: ReadonlyArray<HashedRow>,
  by: string
) {
  const batch = jsonBatch(rows)
  const [{ inserted, replayed }] = yield* queryRows(connection, InsertedRow, insertStatement, [batch, by])
  if (inserted.length === rows.length) return { inserted: rows, replayed, conflicts: [] }
  const differing = yield* connection.query(conflictStatement, [batch])
  const known = new Set(differing.rows.map((row) => row["id"]))
  const fresh = new Set(inserted)
  return {
    inserted: rows.filter((row) => fresh.has(row.id)),
    replayed,
    conflicts: rows.filter((row) => known.has(row.id))
  }
})

/**
 * Advances a source to `lastSeq`, adds the rows that the transaction wrote, and queues those that it inserted for the tree. A
 * transaction may insert rows of other sources too.
 */
export const advanceSource = (
  connection: Connection,
  source: string,
  lastSeq: number,
  { committed, deadLettered, replayed }: Inserted,
  rows: ReadonlyArray<HashedRow>
) => connection.query(advanceByParameters, [source, lastSeq, committed, deadLettered, replayed, ...intakeValues(rows)])

export const conflictReason = "the table holds another event under this id"

/** Inserts a dead letter. Returns whether it is new. */
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

const special = /[\\\t\n\r]/
const specialAll = /[\\\t\n\r]/g

const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r" }

const escaped = (text: string): string =>
  special.test(text) ? text.replace(specialAll, (character) => escapes[character] ?? character) : text

const field = (text: string | null): string => (text === null ? "\\N" : escaped(text))

/**
 * A row in COPY's text format (PostgreSQL, "COPY", File Formats), in the order of `auditColumns`. Marks need no quotes within
 * the array: they consist of lower-case words, `:`, `-` and `_`. The backslash of bytea's `\x` form is data and is doubled.
 */
export const copyLine = (row: HashedRow): string =>
  `${row.id}\t${isoTime(row.timestamp)}\t${row.source}\t${row.seq}\t${field(row.ghostId)}\t` +
  `${field(row.shellId)}\t${field(row.action)}\t${field(row.resource)}\t${escaped(row.result)}\t${field(row.reason)}\t` +
  `${field(row.requestId)}\t${escaped(row.metadata)}\t{${row.marks.join(",")}}\t\\\\x${row.leafHash}\n`

const linesPerChunk = 64

/** The rows in COPY's text format, chunk by chunk: PostgreSQL reads one while the next is made. */
export const copyChunks = (rows: ReadonlyArray<HashedRow>): ReadonlyArray<() => string> =>
  Array.from({ length: Math.ceil(rows.length / linesPerChunk) }, (_, index) => () => {
    let lines = ""
    for (const row of rows.slice(index * linesPerChunk, (index + 1) * linesPerChunk)) lines += copyLine(row)
    return lines
  })
