import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ServiceName } from "../../domain/Service.ts"
import type { Connection } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { type QualifiedName, quotedName, readTree } from "../files/ParseTree.ts"
import type { Revision } from "../files/Revision.ts"
import { parseStoredDown } from "../files/RevisionFile.ts"
import { classOf, type StatementClass } from "../files/StatementClass.ts"
import { splitStatements } from "../files/Statements.ts"
import type { HistoryEntry } from "../history/MigrationHistory.ts"

/** Whether an index is there, and if so, whether PostgreSQL uses it (`indisvalid`). */
export const indexState = (connection: Connection, index: QualifiedName) =>
  connection
    .query("select indisvalid as valid from pg_catalog.pg_index where indexrelid = pg_catalog.to_regclass($1)", [
      quotedName(index)
    ])
    .pipe(Effect.map(({ rows: [row] }) => (row === undefined ? Option.none() : Option.some(row["valid"] === true))))

/**
 * The invalid indexes of a table, or of a whole schema: what a concurrent index that failed leaves behind. An index on a
 * partitioned table is left out: it is invalid, rightly, until each partition has its own.
 */
export const invalidIndexes = (
  connection: Connection,
  of: { readonly table: QualifiedName } | { readonly schema: string }
) =>
  connection
    .query(
      `select n.nspname as schema, c.relname as name from pg_catalog.pg_index i
       join pg_catalog.pg_class c on c.oid = i.indexrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       where not i.indisvalid and c.relkind = 'i' and (i.indrelid = pg_catalog.to_regclass($1) or n.nspname = $2) order by 1, 2`,
      "table" in of ? [quotedName(of.table), null] : [null, of.schema]
    )
    .pipe(
      Effect.map(({ rows }) =>
        rows.map((row): QualifiedName => ({ schema: String(row["schema"]), name: String(row["name"]) }))
      )
    )

/** The statement at which `entry` stopped; None where it has none, or it cannot be read. */
export const interruptedStatement = (
  entry: HistoryEntry,
  file: Option.Option<Revision>
): Effect.Effect<Option.Option<StatementClass>> =>
  Effect.gen(function* () {
    const section =
      entry.state === "applying"
        ? Option.map(file, ({ up }) => up)
        : Option.flatMap(Option.fromNullable(entry.down_script), parseStoredDown)
    if (entry.kind === "ts" || Option.isNone(section)) return Option.none()
    const statements = yield* Effect.orElseSucceed(splitStatements(section.value), () => [])
    const statement = statements[entry.steps_done]
    return statement === undefined ? Option.none() : Option.some(classOf(yield* readTree(statement.text)))
  })

/** Of a named concurrent index the catalog tells how its statement ended, so that nobody needs to run it again to know. */
export const isKnownFromCatalog = (kind: StatementClass): boolean =>
  kind._tag === "DropIndex" || (kind._tag === "CreateIndex" && kind.index !== null)

/**
 * The invalid indexes that the statement at which `entry` stopped has left, and only those: of `create index concurrently` its own
 * name, or any on its table where PostgreSQL chose the name; of `reindex concurrently` those that PostgreSQL itself calls
 * transient (`_ccnew`, `_ccold`).
 */
export const invalidIndexesLeftBy = (
  connection: Connection,
  entry: HistoryEntry,
  file: Option.Option<Revision>,
  service: ServiceName
): Effect.Effect<ReadonlyArray<QualifiedName>, DatabaseError> =>
  Effect.gen(function* () {
    const stopped = yield* interruptedStatement(entry, file)
    if (Option.isNone(stopped)) return []
    const kind = stopped.value
    if (kind._tag === "CreateIndex") {
      const { index, table } = kind
      const found = yield* invalidIndexes(connection, { table })
      return found.filter(({ name }) => index === null || index.name === name)
    }
    if (kind._tag !== "Repeatable") return []
    const found = yield* invalidIndexes(connection, { schema: service })
    return found.filter(({ name }) => /_cc(new|old)\d*$/.test(name))
  })
