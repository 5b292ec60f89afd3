import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Connection } from "../../platform/postgres/Connection.ts"
import { type QualifiedName, quotedName } from "../files/ParseTree.ts"

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
