import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { type Connection, connect } from "../platform/Connection.ts"
import { Database } from "../platform/Database.ts"
import type { DatabaseError } from "../platform/DatabaseError.ts"
import { canonicalJson, type HashedRow } from "./AuditRow.ts"
import { AuditStore, type Incarnation, type Rejection, type SignOff } from "./AuditStore.ts"
import { copyColumns, copyPieces } from "./CopyText.ts"

export interface PostgresAuditStoreOptions {
  readonly url: Redacted.Redacted
  /** Of one statement; a server that stays silent longer counts as away. */
  readonly deadline?: Duration.DurationInput
  readonly connectTimeout?: Duration.DurationInput
}

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
const boundStatement = (millis: number): string => `set local statement_timeout = ${millis}`

/** Both in one message: on a busy machine each round trip costs the drain as much as dozens of rows. */
const copyStatement = (statementTimeout: number): string =>
  `${boundStatement(statementTimeout)}; copy gatekeeper.audit_log (${copyColumns}) from stdin`

/** Last in each transaction, so that a session that is stuck before holds no lock on it: signing off needs the same row. */
const advanceStatement = `
  insert into gatekeeper.audit_source as known (source, last_seq, last_at)
  values ($1, $2, clock_timestamp())
  on conflict (source) do update
  set last_seq = greatest(known.last_seq, excluded.last_seq), last_at = excluded.last_at`

const registerStatement = `
  insert into gatekeeper.audit_source as known (source, host, pid, started_at)
  values ($1, $2, $3, $4)
  on conflict (source) do update set host = excluded.host, pid = excluded.pid, started_at = excluded.started_at`

const signOffStatement = `
  update gatekeeper.audit_source
  set signed_off_seq = $2, signed_off_at = clock_timestamp(), shed = $3, refused = $4, unwritten = $5
  where source = $1`

const deadLetterStatement = `
  insert into gatekeeper.audit_dead_letter (event_id, leaf_hash, source, seq, body, sqlstate, reason, attempts)
  values ($1, decode($2, 'hex'), $3, $4, $5, $6, $7, $8)
  on conflict (event_id, leaf_hash) do nothing`

/** The canonical event has the columns' names; only its hash is to be added. */
const jsonBatch = (rows: ReadonlyArray<HashedRow>): string =>
  `[${rows.map((row) => `${canonicalJson(row).slice(0, -1)},"leaf_hash":"\\\\x${row.leafHash}"}`).join(",")}]`

const conflictReason = "the table holds another event under this id"

const write = (connection: Connection, statementTimeout: number) => {
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

/** One session, opened when it is needed and again when it was lost. One caller at a time, `abandon` aside. */
export const make = Effect.fnUntraced(function* (options: PostgresAuditStoreOptions) {
  const deadline = Duration.decode(options.deadline ?? "10 seconds")
  const statementTimeout = Math.max(1, Math.floor(Duration.toMillis(deadline) * 0.9))
  let current: { readonly connection: Connection; readonly scope: Scope.CloseableScope } | undefined

  const close = Effect.suspend(() => {
    const scope = current?.scope
    current = undefined
    return scope === undefined ? Effect.void : Scope.close(scope, Exit.void)
  })
  yield* Effect.addFinalizer(() => close)

  const session = Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      if (current?.connection.isOpen() === true) return current.connection
      yield* close
      const scope = yield* Scope.make()
      const connection = yield* restore(
        connect({
          url: options.url,
          applicationName: "gravitas audit",
          deadline,
          connectTimeout: options.connectTimeout ?? "5 seconds"
        }).pipe(Scope.extend(scope))
      ).pipe(Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))))
      current = { connection, scope }
      return connection
    })
  )

  const withSession = <A>(use: (connection: Connection) => Effect.Effect<A, DatabaseError>) =>
    Effect.flatMap(session, use)

  return AuditStore.of({
    register: ({ host, pid, source, startedAt }: Incarnation) =>
      withSession((connection) => connection.query(registerStatement, [source, host, pid, new Date(startedAt)])),
    append: (rows, { certain }) =>
      withSession((connection) => write(connection, statementTimeout).append(rows, certain)),
    deadLetter: (row, why) => withSession((connection) => write(connection, statementTimeout).deadLetter(row, why)),
    makePartition: (id) =>
      withSession((connection) => connection.query("select gatekeeper.audit_make_partition($1) as made", [id])).pipe(
        Effect.map((made) => made.rows[0]?.["made"] === true)
      ),
    makePartitionsAhead: withSession((connection) =>
      connection.query("select gatekeeper.audit_make_partitions_ahead()")
    ),
    signOff: ({ source }: Incarnation, { lastSeq, refused, shed, unwritten }: SignOff) =>
      withSession((connection) => connection.query(signOffStatement, [source, lastSeq, shed, refused, unwritten])),
    abandon: Effect.suspend(() => current?.connection.destroy ?? Effect.void)
  })
})

export const layerUrl = (options: PostgresAuditStoreOptions): Layer.Layer<AuditStore> =>
  Layer.scoped(AuditStore, make(options))

/** Into the gatekeeper's database, as the application. */
export const layer: Layer.Layer<AuditStore, never, Database> = Layer.unwrapEffect(
  Effect.map(Database, (database) => layerUrl({ url: database.url("gatekeeper", "application") }))
)
