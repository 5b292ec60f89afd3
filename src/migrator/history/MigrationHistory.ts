import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { ServiceName } from "../../domain/Service.ts"
import type { Connection, Row } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import type { SentQuery } from "../../platform/postgres/Pipeline.ts"
import { Progress } from "../files/Batches.ts"
import { downOf, type Revision } from "../files/Revision.ts"
import { type MigratorOptionsValues, toolVersion } from "../MigratorOptions.ts"
import { historyFormats } from "./HistoryTables.ts"

/** A row of `<service>.schema_history`: a revision that is applied, completely or in part. */
export const HistoryEntry = Schema.Struct({
  revision: Schema.Number,
  slug: Schema.String,
  kind: Schema.Literal("sql", "ts"),
  phase: Schema.Literal("expand", "contract"),
  /** `applying` and `reverting`: a revision without a transaction is half-way, running or interrupted. */
  state: Schema.Literal("applied", "applying", "reverting"),
  up_checksum: Schema.String,
  down_checksum: Schema.NullOr(Schema.String),
  /** The down section at the time of the upgrade, so that a downgrade does not need the file. Null for kind `ts`. */
  down_script: Schema.NullOr(Schema.String),
  irreversible_reason: Schema.NullOr(Schema.String),
  steps_done: Schema.Number,
  steps_total: Schema.Number,
  /** If above `steps_done`, that statement began and its outcome was not recorded. */
  steps_begun: Schema.Number,
  /** The SHA-256 of each statement that is done, in order. */
  step_checksums: Schema.Array(Schema.String),
  /** The progress of batched work, by name. */
  progress: Schema.Record({ key: Schema.String, value: Progress }),
  started_at: Schema.ValidDateFromSelf,
  finished_at: Schema.NullOr(Schema.ValidDateFromSelf),
  duration_ms: Schema.NullOr(Schema.Number),
  applied_by: Schema.String,
  app_version: Schema.String,
  tool_version: Schema.Number
})
export type HistoryEntry = typeof HistoryEntry.Type

type EventKind = "prepared" | "applied" | "reverted" | "failed" | "stamped" | "repaired" | "unlocked"

/** The contents of `<service>.schema_history`. */
export interface HistorySnapshot {
  /** The format of the tables; above `toolVersion` if a newer program created them. */
  readonly format: number
  readonly entries: ReadonlyArray<HistoryEntry>
  /** The further columns that the reader asked for. */
  readonly extra: Row
}

export interface RevisionRef {
  readonly revision: number
  readonly slug: string
}

const decodeProgress = Schema.decodeUnknown(Schema.NullOr(Progress))
const decodeEntries = Schema.decodeUnknown(Schema.Array(HistoryEntry))
const decodeFormat = Schema.decodeUnknown(Schema.Struct({ format: Schema.NullOr(Schema.Number) }))

/** What rows of format 1 do not have. */
export const later = { steps_begun: 0, step_checksums: [], progress: {} } satisfies Partial<HistoryEntry>

type Queries = Pick<Connection, "query">

/** Who writes a row: the program's version and its format of the tables. */
type Author = readonly [appVersion: string, toolVersion: number]

/** The columns that say how a revision is reverted, in order: checksum and text of its down, and why it has none. */
export const reversalColumns = (revision: Revision) => {
  const down = downOf(revision)
  return {
    down_checksum: down?.checksum ?? null,
    down_script: down?.text ?? null,
    irreversible_reason: revision.reversal._tag === "Irreversible" ? revision.reversal.reason : null
  }
}

/** The query of a service's whole history. `columns` are selected too, each with a comma before it. */
export const historyQuery = (service: ServiceName, columns: string): string =>
  `select history.*, prepared.format${columns}
   from (select max(tool_version) as format from ${service}.schema_event where event = 'prepared') as prepared
   left join ${service}.schema_history as history on true`

/** Decodes the rows of `historyQuery`, at least one. */
export const snapshotOf = (rows: ReadonlyArray<Row>): Effect.Effect<HistorySnapshot> =>
  Effect.gen(function* () {
    const extra = rows[0] ?? {}
    // Only the migrator writes these tables: a row that does not decode is a broken invariant.
    const format = (yield* Effect.orDie(decodeFormat(extra))).format ?? 1
    // Without a revision the join has one row, of nulls.
    const known = format > toolVersion ? [] : rows.filter(({ revision }) => revision !== null)
    const entries = yield* Effect.orDie(decodeEntries(known.map((row) => ({ ...later, ...row }))))
    return { format, entries, extra }
  })

/** The history tables as a whole. */
const wholeTables = (service: ServiceName, connection: Queries, by: Author) => {
  /** Reads the history in one round trip; None if its tables do not exist. Only a revision that locks these tables can delay it. */
  const read: Effect.Effect<Option.Option<HistorySnapshot>, DatabaseError> = Effect.suspend(() =>
    connection.query(`${historyQuery(service, "")} order by revision`)
  ).pipe(
    Effect.flatMap(({ rows }) => snapshotOf(rows)),
    Effect.map(Option.some),
    // 42P01, 3F000: no such table, no such schema.
    Effect.catchIf(
      ({ sqlstate }) => sqlstate === "42P01" || sqlstate === "3F000",
      () => Effect.succeed(Option.none())
    )
  )

  const event = (kind: EventKind, of: RevisionRef | null, reason: string | null, details: object | null = null) =>
    connection.query(
      `insert into ${service}.schema_event (event, revision, slug, reason, details, app_version, tool_version)
       values ($1, $2, $3, $4, $5, $6, $7)`,
      [kind, of?.revision ?? null, of?.slug ?? null, reason, details === null ? null : JSON.stringify(details), ...by]
    )

  /** Brings the tables from format `from` (0: no tables) to this program's, in a transaction that holds the lock. */
  const bringToFormat = (from: number) =>
    Effect.forEach(
      historyFormats.slice(from).flatMap((statements) => statements(service)),
      (text) => connection.query(text),
      { discard: true }
    ).pipe(Effect.zipRight(event("prepared", null, from === 0 ? null : `history tables brought from format ${from}`)))

  return { read, event, bringToFormat }
}

/** The rows of `schema_history`, one for each revision. */
const revisionRows = (service: ServiceName, connection: Queries, by: Author) => ({
  /**
   * Inserts the row of a revision whose statements ran or, in state `applying`, are about to run. `startedAt` is the server's text; null
   * is when the transaction began. The `reversal` of a data revision is the one that its module exports.
   */
  insert: (revision: Revision, state: "applied" | "applying", steps: number, startedAt: string | null) =>
    connection.query(
      `insert into ${service}.schema_history (revision, slug, kind, phase, state, up_checksum, down_checksum, down_script,
           irreversible_reason, steps_done, steps_total, started_at, finished_at, duration_ms, app_version, tool_version)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, coalesce($12::timestamptz, now()),
           case when $5 = 'applied' then clock_timestamp() end,
           case when $5 = 'applied' then round(extract(epoch from clock_timestamp() - coalesce($12::timestamptz, now())) * 1000, 3) end,
           $13, $14)`,
      [
        revision.number,
        revision.slug,
        revision.kind,
        revision.phase,
        state,
        revision.up.checksum,
        ...Object.values(reversalColumns(revision)),
        state === "applied" ? steps : 0,
        steps,
        startedAt,
        ...by
      ]
    ),

  /** Records the present file as the one that was applied. */
  accept: (revision: Revision) =>
    connection.query(
      `update ${service}.schema_history set phase = $2, up_checksum = $3, down_checksum = $4, down_script = $5,
           irreversible_reason = $6 where revision = $1`,
      [revision.number, revision.phase, revision.up.checksum, ...Object.values(reversalColumns(revision))]
    ),

  finish: (revision: number) =>
    connection.query(
      `update ${service}.schema_history set state = 'applied', steps_done = steps_total, steps_begun = steps_total,
           finished_at = finished.at, duration_ms = round(extract(epoch from finished.at - started_at) * 1000, 3)
         from (select clock_timestamp() as at) as finished where revision = $1`,
      [revision]
    ),

  /** Reads the row of one revision, which may be half-way; undefined if it has none. */
  entry: (revision: number) =>
    connection.query(`select * from ${service}.schema_history where revision = $1`, [revision]).pipe(
      Effect.flatMap(({ rows }) => Effect.orDie(decodeEntries(rows))),
      Effect.map(([entry]) => entry)
    ),

  remove: (revision: number) =>
    connection.query(`delete from ${service}.schema_history where revision = $1`, [revision])
})

/** How far a revision without a transaction has come. */
const stepRecords = (service: ServiceName, connection: Queries) => ({
  /** Records that the downgrade of a revision without a transaction begins. */
  beginRevert: (revision: number, steps: number) =>
    connection.query(
      `update ${service}.schema_history set state = 'reverting', steps_done = 0, steps_total = $2, steps_begun = 0,
           step_checksums = '{}', progress = '{}' where revision = $1`,
      [revision, steps]
    ),

  /** Records how many statements began: one more than are done, or as many once the outcome of the last is known. */
  stepsBegun: (revision: number, number: number) =>
    connection.query(`update ${service}.schema_history set steps_begun = $2 where revision = $1`, [revision, number]),

  /** Records a finished statement. `total` counts the statements of the present file, which may have been corrected since. */
  stepDone: (revision: number, done: number, total: number, checksum: string) =>
    connection.query(
      `update ${service}.schema_history set steps_done = $2, steps_begun = $2, steps_total = $3,
           step_checksums = step_checksums || $4::text where revision = $1`,
      [revision, done, total, checksum]
    ),

  saveProgress: (revision: number, name: string, progress: Progress) =>
    connection.query(
      `update ${service}.schema_history set progress = progress || pg_catalog.jsonb_build_object($2::text, $3::jsonb)
         where revision = $1`,
      [revision, name, JSON.stringify(progress)]
    ),

  progress: (revision: number, name: string) =>
    connection
      .query(`select progress -> $2 as progress from ${service}.schema_history where revision = $1`, [revision, name])
      .pipe(Effect.flatMap(({ rows: [row] }) => Effect.orDie(decodeProgress(row?.["progress"] ?? null))))
})

/** Reads and writes the history tables of one service, over one session. */
export const makeMigrationHistory = (service: ServiceName, connection: Queries, options: MigratorOptionsValues) => {
  const by = [options.appVersion, toolVersion] as const
  return {
    ...wholeTables(service, connection, by),
    ...revisionRows(service, connection, by),
    ...stepRecords(service, connection)
  }
}

export type MigrationHistory = ReturnType<typeof makeMigrationHistory>

/** Gathers the queries of records, to be sent with others. */
export const gatherRecords = (service: ServiceName, options: MigratorOptionsValues) => {
  const queries: Array<SentQuery> = []
  const query: Queries["query"] = (text, values = []) =>
    Effect.sync(() => {
      queries.push({
        text,
        values: values.map((value) => (value === null || typeof value === "number" ? value : String(value)))
      })
      return { rows: [], rowCount: 0 }
    })
  const by = [options.appVersion, toolVersion] as const
  const { event } = wholeTables(service, { query }, by)
  const { insert, remove } = revisionRows(service, { query }, by)
  return { event, insert, remove, queries }
}

/** A row of `<service>.schema_event`, in any format of that table. */
const SchemaEvent = Schema.Struct({
  at: Schema.ValidDateFromSelf,
  event: Schema.String,
  revision: Schema.NullOr(Schema.Number),
  slug: Schema.NullOr(Schema.String),
  reason: Schema.NullOr(Schema.String),
  done_by: Schema.String,
  app_version: Schema.String
})

const decode = Schema.decodeUnknown(Schema.Array(SchemaEvent))

/** Reads every event of a schema, oldest first. */
export const readEvents = (connection: Connection, service: ServiceName) =>
  connection
    .query(`select at, event, revision, slug, reason, done_by, app_version from ${service}.schema_event order by id`)
    .pipe(Effect.flatMap(({ rows }) => Effect.orDie(decode(rows))))
