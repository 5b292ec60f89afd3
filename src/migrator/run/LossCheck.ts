import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ServiceName } from "../../domain/Service.ts"
import type { Connection } from "../../platform/Connection.ts"
import type { DatabaseError } from "../../platform/DatabaseError.ts"
import { MigratorOptions } from "../MigratorOptions.ts"
import { type DataLoss, DataLossRefused } from "../plan/DataLoss.ts"
import type { Step } from "../plan/Plan.ts"
import { type Threat, threatsOf } from "../plan/Threat.ts"
import { type QualifiedName, quotedName, readTree, shownName } from "../revision/ParseTree.ts"
import { revisionName } from "../revision/Revision.ts"
import { split } from "../revision/Statements.ts"
import type { DatabaseRefusal, Session } from "./Session.ts"

/** Of one count. After it only whether there is any row is asked. */
const patience = Duration.seconds(10)

/** A count, `some` where it would take too long, `absent` where the table or the column is not there. */
type Count = number | "some" | "absent"

const count = (
  connection: Connection,
  table: QualifiedName,
  column: string | null,
  longest: Duration.Duration
): Effect.Effect<Count, DatabaseError> => {
  const value = column === null ? null : quotedName({ schema: null, name: column })
  const bounded = (text: string) =>
    connection.transaction(
      Effect.zipRight(
        connection.query(
          `set local transaction_read_only = on; set local statement_timeout = ${Math.ceil(Duration.toMillis(longest))}`
        ),
        connection.query(text)
      )
    )
  const some = bounded(
    `select 1 from ${quotedName(table)} ${value === null ? "" : `where ${value} is not null`} limit 1`
  ).pipe(Effect.map(({ rows }): Count => (rows.length === 0 ? 0 : "some")))
  return bounded(`select count(${value ?? "*"}) as rows from ${quotedName(table)}`).pipe(
    Effect.map(({ rows }): Count => Number(rows[0]?.["rows"])),
    Effect.catchAll((error) => {
      // 42P01, 3F000: no such table; 42703: no such column; 57014: the time passed.
      if (["42P01", "3F000", "42703"].includes(error.sqlstate ?? "")) return Effect.succeed<Count>("absent")
      if (error.sqlstate !== "57014") return Effect.fail(error)
      return Effect.catchIf(
        some,
        ({ sqlstate }) => sqlstate === "57014",
        () => Effect.succeed<Count>("some")
      )
    })
  )
}

const tablesIn = (connection: Connection, schema: string) =>
  connection
    .query(
      `select c.relname as name from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       where n.nspname = $1 and c.relkind in ('r', 'p') and not c.relispartition order by 1`,
      [schema]
    )
    .pipe(Effect.map(({ rows }) => rows.map((row): QualifiedName => ({ schema, name: String(row["name"]) }))))

/** The tables that refer to one, and those that refer to them: what `truncate … cascade` empties too. */
const referrersOf = (connection: Connection, table: QualifiedName) =>
  connection
    .query(
      `with recursive referrers as (
         select pg_catalog.to_regclass($1)::oid as oid
         union select c.conrelid from pg_catalog.pg_constraint c join referrers r on c.confrelid = r.oid where c.contype = 'f'
       )
       select n.nspname as schema, c.relname as name from referrers r join pg_catalog.pg_class c on c.oid = r.oid
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace where not c.relispartition order by 1, 2`,
      [quotedName(table)]
    )
    .pipe(
      Effect.map(({ rows }) =>
        rows.map((row): QualifiedName => ({ schema: String(row["schema"]), name: String(row["name"]) }))
      )
    )

const lossesOf = (
  connection: Connection,
  revision: string,
  threat: Threat,
  longest: Duration.Duration
): Effect.Effect<ReadonlyArray<DataLoss>, DatabaseError> => {
  const counted = (table: QualifiedName, column: string | null, moved: boolean) =>
    Effect.map(count(connection, table, column, longest), (found): ReadonlyArray<DataLoss> => {
      if (found === 0 || (found === "absent" && !moved)) return []
      const notes = { absent: "an earlier down makes or renames it, so its rows cannot be counted yet" }
      const some = `there are, too many to count within ${Duration.format(longest)}`
      return [
        {
          revision,
          table: shownName(table),
          column,
          rows: typeof found === "number" ? found : null,
          note: typeof found === "number" ? null : found === "absent" ? notes.absent : some
        }
      ]
    })
  const each = (tables: ReadonlyArray<QualifiedName>) =>
    Effect.map(
      Effect.forEach(tables, (table) => counted(table, null, false)),
      (found) => found.flat()
    )
  switch (threat._tag) {
    case "Rows":
      return counted(threat.table, null, threat.moved)
    case "Values":
      return counted(threat.table, threat.column, threat.moved)
    case "RowsAndReferrers":
      return Effect.flatMap(referrersOf(connection, threat.table), (tables) =>
        tables.length === 0 ? counted(threat.table, null, threat.moved) : each(tables)
      )
    case "Schema":
      return Effect.flatMap(tablesIn(connection, threat.name), each)
    case "Unknown":
      return Effect.succeed([{ revision, table: null, column: null, rows: null, note: threat.what }])
  }
}

const treesOf = (step: Step & { readonly _tag: "Revert" }) =>
  split(step.down).pipe(
    Effect.flatMap((statements) => Effect.all(statements.map(({ text }) => readTree(text)))),
    // What cannot be read cannot be run either; that is told, with its place, when its turn comes.
    Effect.catchAll(() => Effect.succeed([{ kind: "unreadable", node: {} }]))
  )

/**
 * What the way back through `steps` would destroy of what the database holds now; steps up destroy nothing here. Counts
 * exactly, each table and column once, in read-only transactions of bounded time.
 */
export const readLosses = (
  connection: Connection,
  steps: ReadonlyArray<Step>,
  longest: Duration.Duration = patience
): Effect.Effect<ReadonlyArray<DataLoss>, DatabaseError> =>
  Effect.gen(function* () {
    const reverts = steps.flatMap((step) => (step._tag === "Revert" ? [step] : []))
    const sql = reverts.filter(({ entry }) => entry.kind === "sql")
    const threats = threatsOf(yield* Effect.forEach(sql, treesOf))
    const found = yield* Effect.forEach(sql, ({ entry }, index) =>
      Effect.forEach(threats[index] ?? [], (threat) =>
        lossesOf(connection, revisionName(entry.revision, entry.slug), threat, longest)
      )
    )
    const code = reverts
      .filter(({ entry }) => entry.kind === "ts")
      .map(
        ({ entry }): DataLoss => ({
          revision: revisionName(entry.revision, entry.slug),
          table: null,
          column: null,
          rows: null,
          note: "the way back of a data revision is a program"
        })
      )
    const losses = [...found.flat(2), ...code]
    const key = ({ column, note, table }: DataLoss) => JSON.stringify(table === null ? note : [table, column])
    return losses.filter((loss, index) => losses.findIndex((other) => key(other) === key(loss)) === index)
  })

/**
 * Fails where the way back through `steps` to `goal` would destroy something, unless that is allowed. `standing`: where the
 * schema is when steps before them have been reverted already; null where nothing has.
 */
export const refuseLosses = Effect.fn("Migrator.refuseLosses")(function* (asked: {
  readonly service: ServiceName
  readonly session: Session
  readonly steps: ReadonlyArray<Step>
  readonly goal: string
  readonly standing: string | null
}): Effect.fn.Return<void, DataLossRefused | DatabaseRefusal> {
  const { goal, service, session, standing, steps } = asked
  const { allowDataLoss } = yield* MigratorOptions
  if (allowDataLoss) return
  const losses = yield* readLosses(session.connection, steps).pipe(
    Effect.mapError(session.refuse("counting what the way back would destroy"))
  )
  if (losses.length > 0) return yield* new DataLossRefused({ service, goal, losses, standing })
})
