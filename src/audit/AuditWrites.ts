import * as Effect from "effect/Effect"
import type { Connection } from "../platform/Connection.ts"
import { canonicalJson, type HashedRow } from "./AuditRow.ts"
import type { Rejection } from "./AuditStore.ts"
import { copyColumns, copyPieces } from "./CopyText.ts"

/** What json_to_recordset reads from `jsonBatch`. */
const recordColumns =
  "id uuid, timestamp timestamptz, source uuid, seq bigint, ghost_id text, shell_id text, action text, resource text, " +
  "result text, reason text, request_id text, metadata jsonb, marks text[], leaf_hash bytea"

const insertStatement = `
  insert into gatekeeper.audit_log (${copyColumns})
  select ${copyColumns} from json_to_recordset($1) as batch (${recordColumns})
  on conflict (id) do nothing`

/** A statement of its own: it sees what a transaction that ended while the insert waited for it has written. */
const conflictStatement = `
  select recorded.id
  from json_to_recordset($1) as batch (${recordColumns})
  join gatekeeper.audit_log as recorded on recorded.id = batch.id
  where (recorded.source, recorded.seq, recorded.leaf_hash) is distinct from (batch.source, batch.seq, batch.leaf_hash)`

/**
 * First in each transaction: the server gives up a moment before we do, so that a session that we have left does not go on
 * waiting for a lock. Local to the transaction, since a pooler may hand the session to others.
 */
export const boundStatement = (millis: number): string => `set local statement_timeout = ${millis}`

/** Both in one message: on a busy machine each round trip costs the drain as much as dozens of rows. */
const copyStatement = (statementTimeout: number): string =>
  `${boundStatement(statementTimeout)}; copy gatekeeper.audit_log (${copyColumns}) from stdin`

/** Last in each transaction, so that a session that is stuck before holds no lock on it: signing off needs the same row. */
const advanceStatement = `
  insert into gatekeeper.audit_source as known (source, last_seq, last_at)
  values ($1, $2, clock_timestamp())
  on conflict (source) do update
  set last_seq = greatest(known.last_seq, excluded.last_seq), last_at = excluded.last_at`

const deadLetterStatement = `
  insert into gatekeeper.audit_dead_letter (event_id, leaf_hash, source, seq, body, sqlstate, reason, attempts)
  values ($1, decode($2, 'hex'), $3, $4, $5, $6, $7, $8)
  on conflict (event_id, leaf_hash) do nothing`

/** The canonical event has the columns' names; only its hash is to be added. */
const jsonBatch = (rows: ReadonlyArray<HashedRow>): string =>
  `[${rows.map((row) => `${canonicalJson(row).slice(0, -1)},"leaf_hash":"\\\\x${row.leafHash}"}`).join(",")}]`

const conflictReason = "the table holds another event under this id"

/** What a writing session runs. The server gives each statement up after `statementTimeout` milliseconds. */
export const write = (connection: Connection, statementTimeout: number) => {
  const bound = connection.query(boundStatement(statementTimeout))

  const advance = (rows: ReadonlyArray<HashedRow>) => {
    const last = rows.at(-1)
    return last === undefined ? Effect.void : connection.query(advanceStatement, [last.source, last.seq])
  }

  const deadLetter = (row: HashedRow, why: Rejection) =>
    connection.query(deadLetterStatement, [
      row.id,
      row.leafHash,
      row.source,
      row.seq,
      Buffer.from(canonicalJson(row)),
      why.sqlstate,
      why.reason.replaceAll("\0", "\ufffd"),
      why.attempts
    ])

  const tolerant = Effect.fnUntraced(function* (rows: ReadonlyArray<HashedRow>) {
    const batch = jsonBatch(rows)
    const inserted = yield* connection.query(insertStatement, [batch])
    if (inserted.rowCount === rows.length) return []
    const differing = yield* connection.query(conflictStatement, [batch])
    const ids = new Set(differing.rows.map((row) => row["id"]))
    const conflicts = rows.filter((row) => ids.has(row.id))
    for (const row of conflicts) {
      yield* deadLetter(row, { sqlstate: "23505", reason: conflictReason, attempts: 1 })
    }
    return conflicts.map((row) => row.id)
  })

  return {
    append: (rows: ReadonlyArray<HashedRow>, certain: boolean) =>
      Effect.gen(function* () {
        const conflicts = certain
          ? yield* Effect.as(connection.copyIn(copyStatement(statementTimeout), copyPieces(rows)), [])
          : yield* Effect.zipRight(bound, tolerant(rows))
        yield* advance(rows)
        return { conflicts }
      }).pipe(connection.transaction),
    deadLetter: (row: HashedRow, why: Rejection) =>
      bound.pipe(Effect.zipRight(deadLetter(row, why)), Effect.zipRight(advance([row])), connection.transaction)
  }
}
