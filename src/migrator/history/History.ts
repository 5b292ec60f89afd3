import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { ServiceName } from "../../domain/Service.ts"
import type { Connection } from "../../platform/Connection.ts"
import type { DatabaseError } from "../../platform/DatabaseError.ts"
import { type MigratorOptionsValues, toolVersion } from "../MigratorOptions.ts"
import type { Revision } from "../revision/Revision.ts"
import { HistoryEntry } from "./HistoryEntry.ts"
import { historyTables } from "./HistoryTables.ts"

export type EventKind = "prepared" | "applied" | "reverted" | "failed"

/** What `<service>.schema_history` says. */
export interface Snapshot {
  /** Of the tables; higher than `toolVersion` when a newer program made them. */
  readonly format: number
  readonly entries: ReadonlyArray<HistoryEntry>
}

export interface RevisionRef {
  readonly revision: number
  readonly slug: string
}

const decodeEntries = Schema.decodeUnknown(Schema.Array(HistoryEntry))
const decodeFormat = Schema.decodeUnknown(Schema.NonEmptyArray(Schema.Struct({ format: Schema.NullOr(Schema.Number) })))

/** The history tables of one service, over one session. */
export const makeHistory = (service: ServiceName, connection: Connection, options: MigratorOptionsValues) => {
  const by = [options.appVersion, toolVersion] as const

  /** None: there are no history tables. Waits for nobody but a revision that locks these very tables. */
  const read: Effect.Effect<Option.Option<Snapshot>, DatabaseError> = Effect.gen(function* () {
    const format = yield* connection.query(
      `select max(tool_version) as format from ${service}.schema_event where event = 'prepared'`
    )
    const found = yield* connection.query(
      `select revision, slug, kind, phase, state, up_checksum, down_checksum, down_script, irreversible_reason, steps_done,
         steps_total, started_at, finished_at, duration_ms, applied_by, app_version, tool_version
       from ${service}.schema_history order by revision`
    )
    // Tables of our own making: a row that does not decode is a broken invariant, unless a newer tool made it.
    const [{ format: known }] = yield* Effect.orDie(decodeFormat(format.rows))
    if (known !== null && known > toolVersion) return Option.some({ format: known, entries: [] })
    return Option.some({ format: known ?? toolVersion, entries: yield* Effect.orDie(decodeEntries(found.rows)) })
  }).pipe(
    // 42P01, 3F000: no such table, no such schema.
    Effect.catchIf(
      ({ sqlstate }) => sqlstate === "42P01" || sqlstate === "3F000",
      () => Effect.succeed(Option.none())
    )
  )

  const event = (kind: EventKind, of: RevisionRef | null, reason: string | null) =>
    connection.query(
      `insert into ${service}.schema_event (event, revision, slug, reason, app_version, tool_version)
       values ($1, $2, $3, $4, $5, $6)`,
      [kind, of?.revision ?? null, of?.slug ?? null, reason, ...by]
    )

  return {
    read,
    event,

    /** Makes the tables; inside a transaction that holds the lock. */
    prepare: Effect.forEach(historyTables(service), (text) => connection.query(text), { discard: true }).pipe(
      Effect.zipRight(event("prepared", null, null))
    ),

    /** The row of a revision whose statements ran, or (`applying`) are about to. `startedAt` as the server wrote it. */
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
        `update ${service}.schema_history set state = 'reverting', steps_done = 0, steps_total = $2 where revision = $1`,
        [revision, steps]
      ),

    stepDone: (revision: number, done: number) =>
      connection.query(`update ${service}.schema_history set steps_done = $2 where revision = $1`, [revision, done]),

    finish: (revision: number) =>
      connection.query(
        `update ${service}.schema_history set state = 'applied', finished_at = finished.at,
           duration_ms = round(extract(epoch from finished.at - started_at) * 1000, 3)
         from (select clock_timestamp() as at) as finished where revision = $1`,
        [revision]
      ),

    remove: (revision: number) =>
      connection.query(`delete from ${service}.schema_history where revision = $1`, [revision])
  }
}

export type History = ReturnType<typeof makeHistory>
