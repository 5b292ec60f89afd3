import * as Effect from "effect/Effect"
import type { Connection } from "../../../src/platform/postgres/Connection.ts"
import type { TrailRow } from "./Conservation.ts"

/** The database's clock, as text: the moment from which `rowsSince` reads. */
export const now = (connection: Connection) =>
  Effect.map(connection.query("select (clock_timestamp() - interval '1 second')::text as now"), ({ rows }) =>
    String(rows[0]?.["now"])
  )

/** The rows whose ids were made at that moment or later. */
export const rowsSince = (connection: Connection, moment: string) =>
  Effect.map(
    connection.query(
      `select id, request_id, result from gatekeeper.audit_log
       where id >= gatekeeper.audit_uuid_floor($1::timestamptz)`,
      [moment]
    ),
    ({ rows }) =>
      rows.map(
        (row): TrailRow => ({
          id: String(row["id"]),
          requestId: row["request_id"] === null ? null : String(row["request_id"]),
          result: String(row["result"])
        })
      )
  )

/** The counts of the whole trail, not only of the load's requests. */
export interface TrailReport {
  readonly rows: number
  readonly sources: number
  /** Numbers below the last one written of their source that no row has. */
  readonly gaps: number
  /** Numbers of a source that more than one row has. */
  readonly repeated: number
  readonly deadLetters: number
}

export const trailReport = (connection: Connection) =>
  Effect.map(
    connection.query(
      `with numbered as (
         select count(*) as rows, count(distinct seq) as numbers, max(seq) as last from gatekeeper.audit_log group by source
       )
       select coalesce(sum(rows), 0)::int as rows, count(*)::int as sources,
         coalesce(sum(last - numbers), 0)::int as gaps, coalesce(sum(rows - numbers), 0)::int as repeated,
         (select count(*)::int from gatekeeper.audit_dead_letter) as "deadLetters"
       from numbered`
    ),
    ({ rows: [row = {}] }): TrailReport => ({
      rows: Number(row["rows"]),
      sources: Number(row["sources"]),
      gaps: Number(row["gaps"]),
      repeated: Number(row["repeated"]),
      deadLetters: Number(row["deadLetters"])
    })
  )

/** Blocks writes to the trail until the scope closes; readers continue. */
export const holdWriters = (connection: Connection) =>
  Effect.acquireRelease(
    connection.query("begin").pipe(Effect.zipRight(connection.query("lock table gatekeeper.audit_log in share mode"))),
    () => Effect.orDie(connection.query("rollback"))
  )
