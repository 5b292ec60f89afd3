import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { ServiceName } from "../../domain/Service.ts"
import type { Connection } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { Progress } from "../files/Batches.ts"
import type { Revision } from "../files/Revision.ts"
import { type MigratorOptionsValues, toolVersion } from "../MigratorOptions.ts"
import { historyForms } from "./HistoryTables.ts"

/** One row of `<service>.schema_history`: a revision that stands in the database, whole or in part. */
export const HistoryEntry = Schema.Struct({
  revision: Schema.Number,
  slug: Schema.String,
  kind: Schema.Literal("sql", "ts"),
  phase: Schema.Literal("expand", "contract"),
  /** `applying` and `reverting`: a revision without a transaction was left, or is, half-way. */
  state: Schema.Literal("applied", "applying", "reverting"),
  up_checksum: Schema.String,
  down_checksum: Schema.NullOr(Schema.String),
  /** The down section as it was when the revision was applied: the way back even without its file. Null for kind `ts`. */
  down_script: Schema.NullOr(Schema.String),
  irreversible_reason: Schema.NullOr(Schema.String),
  steps_done: Schema.Number,
  steps_total: Schema.Number,
  /** Above `steps_done`: that statement was begun, and nobody recorded how it ended. */
  steps_begun: Schema.Number,
  /** SHA-256 of each statement done, in order. */
  step_checksums: Schema.Array(Schema.String),
  /** How far batched work has come, by name. */
  progress: Schema.Record({ key: Schema.String, value: Progress }),
  started_at: Schema.ValidDateFromSelf,
  finished_at: Schema.NullOr(Schema.ValidDateFromSelf),
  duration_ms: Schema.NullOr(Schema.Number),
  applied_by: Schema.String,
  app_version: Schema.String,
  tool_version: Schema.Number
})
export type HistoryEntry = typeof HistoryEntry.Type

export type EventKind = "prepared" | "applied" | "reverted" | "failed" | "stamped" | "repaired" | "unlocked"

/** What `<service>.schema_history` says. */
export interface HistorySnapshot {
  /** Of the tables; higher than `toolVersion` when a newer program made them. */
  readonly format: number
  readonly entries: ReadonlyArray<HistoryEntry>
}

export interface RevisionRef {
  readonly revision: number
  readonly slug: string
}

const decodeProgress = Schema.decodeUnknown(Schema.NullOr(Progress))
const decodeEntries = Schema.decodeUnknown(Schema.Array(HistoryEntry))
const decodeFormat = Schema.decodeUnknown(Schema.NonEmptyArray(Schema.Struct({ format: Schema.NullOr(Schema.Number) })))

/** The history tables of one service, over one session. */
export const makeMigrationHistory = (
  service: ServiceName,
  connection: Pick<Connection, "query">,
  options: MigratorOptionsValues
) => {
  const by = [options.appVersion, toolVersion] as const

  const format = connection
    .query(`select max(tool_version) as format from ${service}.schema_event where event = 'prepared'`)
    .pipe(
      Effect.flatMap(({ rows }) => Effect.orDie(decodeFormat(rows))),
      Effect.map(([row]) => row.format ?? 1)
    )

  /** None: there are no history tables. Waits for nobody but a revision that locks these very tables. */
  const read: Effect.Effect<Option.Option<HistorySnapshot>, DatabaseError> = Effect.gen(function* () {
    const form = yield* format
    if (form > toolVersion) return Option.some({ format: form, entries: [] })
    const later =
      form > 1
        ? "steps_begun, step_checksums, progress"
        : "0 as steps_begun, '{}'::text[] as step_checksums, '{}'::jsonb as progress"
    const found = yield* connection.query(
      `select revision, slug, kind, phase, state, up_checksum, down_checksum, down_script, irreversible_reason, steps_done,
         steps_total, ${later}, started_at, finished_at, duration_ms, applied_by, app_version, tool_version
       from ${service}.schema_history order by revision`
    )
    // Tables of our own making: a row that does not decode is a broken invariant.
    return Option.some({ format: form, entries: yield* Effect.orDie(decodeEntries(found.rows)) })
  }).pipe(
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

  /** Brings the tables from a form (0: there are none) to this program's; inside a transaction that holds the lock. */
  const bringToForm = (from: number) =>
    Effect.forEach(
      historyForms.slice(from).flatMap((form) => form(service)),
      (text) => connection.query(text),
      { discard: true }
    ).pipe(Effect.zipRight(event("prepared", null, from === 0 ? null : `history tables brought from format ${from}`)))

  return {
    read,
    event,

    bringToForm,

    /**
     * The row of a revision whose statements ran, or (`applying`) are about to. `startedAt` as the server wrote it. A data
     * revision's `reversal` is what its module exports.
     */
    insert: (revision: Revision, state: "applied" | "applying", steps: number, startedAt: string) => {
      const { reversal } = revision
      const down = reversal._tag === "Down" ? reversal.section : null
      return connection.query(
        `insert into ${service}.schema_history (revision, slug, kind, phase, state, up_checksum, down_checksum, down_script,
           irreversible_reason, steps_done, steps_total, started_at, finished_at, duration_ms, app_version, tool_version)
         select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::timestamptz, finished.at,
           round(extract(epoch from finished.at - $12::timestamptz) * 1000, 3), $13, $14
         from (select case when $5 = 'applied' then clock_timestamp() end as at) as finished`,
        [
          revision.number,
          revision.slug,
          revision.kind,
          revision.phase,
          state,
          revision.up.checksum,
          down?.checksum ?? null,
          down?.text ?? null,
          reversal._tag === "Irreversible" ? reversal.reason : null,
          state === "applied" ? steps : 0,
          steps,
          startedAt,
          ...by
        ]
      )
    },

    /** A revision without a transaction begins its way back. */
    beginRevert: (revision: number, steps: number) =>
      connection.query(
        `update ${service}.schema_history set state = 'reverting', steps_done = 0, steps_total = $2, steps_begun = 0,
           step_checksums = '{}', progress = '{}' where revision = $1`,
        [revision, steps]
      ),

    /** `number` statements are begun: one more than are done, or as many when it is known again how the last one ended. */
    stepsBegun: (revision: number, number: number) =>
      connection.query(`update ${service}.schema_history set steps_begun = $2 where revision = $1`, [revision, number]),

    /** `total` counts the statements of the file as it is now: one that failed may have been corrected since. */
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
        .pipe(Effect.flatMap(({ rows: [row] }) => Effect.orDie(decodeProgress(row?.["progress"] ?? null)))),

    /** What the file says now becomes what is recorded as applied. */
    accept: (revision: Revision) => {
      const { reversal } = revision
      const down = reversal._tag === "Down" ? reversal.section : null
      return connection.query(
        `update ${service}.schema_history set phase = $2, up_checksum = $3, down_checksum = $4, down_script = $5,
           irreversible_reason = $6 where revision = $1`,
        [
          revision.number,
          revision.phase,
          revision.up.checksum,
          down?.checksum ?? null,
          down?.text ?? null,
          reversal._tag === "Irreversible" ? reversal.reason : null
        ]
      )
    },

    finish: (revision: number) =>
      connection.query(
        `update ${service}.schema_history set state = 'applied', steps_done = steps_total, steps_begun = steps_total,
           finished_at = finished.at, duration_ms = round(extract(epoch from finished.at - started_at) * 1000, 3)
         from (select clock_timestamp() as at) as finished where revision = $1`,
        [revision]
      ),

    remove: (revision: number) =>
      connection.query(`delete from ${service}.schema_history where revision = $1`, [revision])
  }
}

export type MigrationHistory = ReturnType<typeof makeMigrationHistory>

/** One row of `<service>.schema_event`, of any form of that table. */
export const SchemaEvent = Schema.Struct({
  at: Schema.ValidDateFromSelf,
  event: Schema.String,
  revision: Schema.NullOr(Schema.Number),
  slug: Schema.NullOr(Schema.String),
  reason: Schema.NullOr(Schema.String),
  done_by: Schema.String,
  app_version: Schema.String
})
export type SchemaEvent = typeof SchemaEvent.Type

const decode = Schema.decodeUnknown(Schema.Array(SchemaEvent))

/** Everything that the migrator ever did to a schema, oldest first. */
export const readEvents = (
  connection: Connection,
  service: ServiceName
): Effect.Effect<ReadonlyArray<SchemaEvent>, DatabaseError> =>
  connection
    .query(`select at, event, revision, slug, reason, done_by, app_version from ${service}.schema_event order by id`)
    .pipe(Effect.flatMap(({ rows }) => Effect.orDie(decode(rows))))
