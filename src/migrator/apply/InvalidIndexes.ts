import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ServiceName } from "../../domain/Service.ts"
import type { Connection } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import type { Revision, Section } from "../files/Revision.ts"
import {
  classOf,
  type QualifiedName,
  quotedName,
  readTree,
  type StatementClass,
  splitStatements
} from "../files/Statements.ts"
import type { HistoryEntry } from "../history/MigrationHistory.ts"
import { storedDownOf } from "../plan/HistoryMismatch.ts"
import { qualifiedNames } from "./LossCatalog.ts"

/** Whether an index is valid (`indisvalid`), so that PostgreSQL uses it; None if it does not exist. */
export const indexState = (connection: Connection, index: QualifiedName) =>
  connection
    .query("select indisvalid as valid from pg_catalog.pg_index where indexrelid = pg_catalog.to_regclass($1)", [
      quotedName(index)
    ])
    .pipe(Effect.map(({ rows: [row] }) => (row === undefined ? Option.none() : Option.some(row["valid"] === true))))

/**
 * The invalid indexes of a table or of a whole schema: what a failed concurrent build leaves behind. Indexes on partitioned
 * tables are left out, since they are invalid until each partition has its own.
 */
export const invalidIndexes = (
  connection: Connection,
  of: { readonly table: QualifiedName } | { readonly schema: string }
) =>
  qualifiedNames(
    connection,
    `select n.nspname as schema, c.relname as name from pg_catalog.pg_index i
       join pg_catalog.pg_class c on c.oid = i.indexrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       where not i.indisvalid and c.relkind = 'i' and (i.indrelid = pg_catalog.to_regclass($1) or n.nspname = $2) order by 1, 2`,
    "table" in of ? [quotedName(of.table), null] : [null, of.schema]
  )

/** The statements that `entry` was running: its up from the file, its down as stored. Undefined for a data revision. */
export const runningSection = (entry: HistoryEntry, file: Revision | undefined): Section | undefined =>
  entry.kind === "ts" ? undefined : entry.state === "applying" ? file?.up : storedDownOf(entry)

/** The statement at which a half-way revision was interrupted; undefined if it is a data revision or cannot be read. */
export const interruptedStatement = Effect.fnUntraced(function* (entry: HistoryEntry, file: Revision | undefined) {
  const section = runningSection(entry, file)
  if (section === undefined) return undefined
  const statements = yield* Effect.orElseSucceed(splitStatements(section), () => [])
  const statement = statements[entry.steps_done]
  return statement && classOf(yield* readTree(statement.text))
})

/** True if the catalog shows the outcome of the statement: it builds or drops a concurrent index with a known name. */
export const isKnownFromCatalog = (kind: StatementClass | undefined): boolean =>
  kind?._tag === "DropIndex" || (kind?._tag === "CreateIndex" && kind.index !== null)

/**
 * The invalid indexes that the interrupted statement of `entry` left, and only those. For `create index concurrently` it is the
 * index of its name, or any on its table if PostgreSQL chose the name. For `reindex concurrently` it is those with PostgreSQL's
 * transient names (`_ccnew`, `_ccold`).
 */
export const invalidIndexesLeftBy = (
  connection: Connection,
  entry: HistoryEntry,
  file: Revision | undefined,
  service: ServiceName
): Effect.Effect<ReadonlyArray<QualifiedName>, DatabaseError> =>
  Effect.gen(function* () {
    const kind = yield* interruptedStatement(entry, file)
    if (kind?._tag === "CreateIndex") {
      const { index, table } = kind
      const found = yield* invalidIndexes(connection, { table })
      return found.filter(({ name }) => index === null || index.name === name)
    }
    if (kind?._tag !== "Repeatable") return []
    const found = yield* invalidIndexes(connection, { schema: service })
    return found.filter(({ name }) => /_cc(new|old)\d*$/.test(name))
  })
