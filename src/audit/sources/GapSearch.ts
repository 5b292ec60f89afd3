import type * as SqlClient from "@effect/sql/SqlClient"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { uuidFloor } from "../encoding/AuditId.ts"

export interface GapQuery {
  /** Exclusive. */
  readonly from: number
  /** Inclusive. */
  readonly to: number
  /** When the events were recorded, in milliseconds since the epoch: it bounds the search by their ids. */
  readonly fromTime: number
  readonly toTime: number
}

export const maximumGaps = 1_000

/**
 * How far the time in an id may be from the time of recording by another clock. The search starts with the first allowance, and
 * a number counts as missing only after a search with the second.
 */
export const clockDoubts = [Duration.hours(1), Duration.hours(25)] as const

/** Consecutive numbers that are neither in `audit_log` nor in `audit_dead_letter`, as the driver returns them: bigint as text. */
export const Gaps = Schema.Array(Schema.Struct({ from: Schema.NumberFromString, to: Schema.NumberFromString }))

/** The bounds of `id` let the planner skip other partitions and use the primary key of the rest. */
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
