import type * as SqlClient from "@effect/sql/SqlClient"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { uuidFloor } from "../encoding/UuidV7.ts"

/** Numbers of one source that are neither in `audit_log` nor in `audit_dead_letter`, both ends included. */
export interface Gap {
  readonly from: number
  readonly to: number
}

export interface GapQuery {
  /** Exclusive. */
  readonly from: number
  /** Inclusive. */
  readonly to: number
  /** When the events between them were recorded: the search is bounded by their ids. Milliseconds since the epoch. */
  readonly fromTime: number
  readonly toTime: number
}

export const maximumGaps = 1_000

/**
 * How far an event's id may be from when it was recorded, by the clocks of others: the search for a number that is
 * missing starts with the first and believes it missing after the second only.
 */
export const clockDoubts = [Duration.hours(1), Duration.hours(25)] as const

/** As the driver returns it: bigint as text. */
export const decodeGaps = Schema.decodeUnknown(
  Schema.Array(Schema.Struct({ from: Schema.NumberFromString, to: Schema.NumberFromString }))
)

/** The bounds of `id` let the planner leave other partitions out and walk the primary key of the rest. */
export const gapStatement = (sql: SqlClient.SqlClient, source: string, query: GapQuery, doubt: Duration.Duration) => {
  const first = uuidFloor(query.fromTime - Duration.toMillis(doubt))
  const end = uuidFloor(query.toTime + Duration.toMillis(doubt) + 1)
  return sql`
    with found as (
      select seq from gatekeeper.audit_log
      where id >= ${first}::uuid and id < ${end}::uuid
        and source = ${source}::uuid and seq > ${query.from} and seq <= ${query.to}
      union
      select seq from gatekeeper.audit_dead_letter
      where source = ${source}::uuid and seq > ${query.from} and seq <= ${query.to}
      union
      select ${query.to}::bigint + 1
    ), stepped as (
      select seq, lag(seq, 1, ${query.from}::bigint) over (order by seq) as before from found
    )
    select before + 1 as "from", seq - 1 as "to" from stepped
    where seq - before > 1
    order by seq
    limit ${maximumGaps}`
}
