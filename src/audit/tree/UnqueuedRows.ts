import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Connection } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { queryRows } from "../../platform/postgres/Rows.ts"
import { AuditId } from "../encoding/AuditId.ts"
import { intakeClause, intakeValues } from "../store/IntakeRows.ts"

/** Rows that one step looks at. */
const rowsInPage = 5_000

/** Before each id. */
export const beforeAllIds = "00000000-0000-0000-0000-000000000000"

/**
 * Counts in one snapshot, where a row and its queue row appear together. More rows than leaves and queued entries: a program that does
 * not know the tree wrote some, before revision 0009 or beside this program.
 */
const missingStatement = `
  select (
    (select coalesce(sum(committed), 0) from gatekeeper.audit_source)
    - (select size from gatekeeper.audit_tree)
    - (select coalesce(sum(n), 0) from gatekeeper.audit_intake)
  )::bigint as missing`

/** By the primary key, so that a page costs the same wherever it begins. */
const pageStatement = `
  select page.id, page.source, page.seq, encode(page.leaf_hash, 'hex') as "leafHash",
    coalesce(run.first_seq + run.n > page.seq, false) as "isIndexed"
  from (
    select id, source, seq, leaf_hash from gatekeeper.audit_log where id > $1 order by id limit ${rowsInPage}
  ) as page
  left join lateral (
    select first_seq, n from gatekeeper.audit_run
    where audit_run.source = page.source and audit_run.first_seq <= page.seq
    order by first_seq desc
    limit 1
  ) as run on true
  order by page.id`

const Missing = Schema.Tuple(Schema.Struct({ missing: Schema.NumberFromString }))

const Page = Schema.Array(
  Schema.Struct({
    id: AuditId,
    source: Schema.String,
    seq: Schema.NumberFromString,
    leafHash: Schema.String,
    isIndexed: Schema.Boolean
  })
)

/** Whether rows of the trail are neither in the tree nor in its queue. */
export const hasUnqueuedRows = (connection: Connection): Effect.Effect<boolean, DatabaseError> =>
  Effect.map(queryRows(connection, Missing, missingStatement), ([{ missing }]) => missing > 0)

const bySourceAndSeq = (
  a: { readonly source: string; readonly seq: number },
  b: { readonly source: string; readonly seq: number }
): number => (a.source === b.source ? a.seq - b.seq : a.source < b.source ? -1 : 1)

/**
 * Queues the rows of the page after an id that the tree does not have. Returns the last id of the page, undefined at the end. A row
 * that is queued already is queued twice, and gets one index all the same. `queued` is how many rows were queued.
 */
export const queuePage = Effect.fnUntraced(function* (connection: Connection, after: string) {
  const page = yield* queryRows(connection, Page, pageStatement, [after])
  const rows = page.filter(({ isIndexed }) => !isIndexed).toSorted(bySourceAndSeq)
  if (rows.length > 0) yield* connection.query(`${intakeClause("$1", "$2")} select`, intakeValues(rows))
  return { queued: rows.length, last: page.length < rowsInPage ? undefined : page.at(-1)?.id }
})
