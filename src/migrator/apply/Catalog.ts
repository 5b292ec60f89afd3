import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Connection, QueryResult } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { type DetachedPartition, type QualifiedName, quotedName } from "../files/Statements.ts"

/** Runs a query with the columns `schema` and `name`. */
export const qualifiedNames = (
  connection: Connection,
  text: string,
  values: ReadonlyArray<unknown>
): Effect.Effect<ReadonlyArray<QualifiedName>, DatabaseError> =>
  Effect.map(connection.query(text, values), ({ rows }) =>
    rows.map((row) => ({ schema: String(row["schema"]), name: String(row["name"]) }))
  )

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

/** Whether a partition is being detached (`inhdetachpending`); None if the table does not have this partition. */
export const detachState = (connection: Connection, { partition, table }: DetachedPartition) =>
  connection
    .query(
      `select inhdetachpending as pending from pg_catalog.pg_inherits
       where inhparent = pg_catalog.to_regclass($1) and inhrelid = pg_catalog.to_regclass($2)`,
      [quotedName(table), quotedName(partition)]
    )
    .pipe(
      Effect.map(({ rows: [row] }) =>
        row === undefined ? Option.none() : Option.some(row["pending"] === true ? "pending" : "attached")
      )
    )

/** The partitions of a schema's tables whose `detach … concurrently` was cut off. Only `finalize` ends that. */
export const pendingDetaches = (
  connection: Connection,
  schema: string
): Effect.Effect<ReadonlyArray<DetachedPartition>, DatabaseError> =>
  Effect.map(
    connection.query(
      `select n.nspname as schema, c.relname as name, pn.nspname as "partitionSchema", p.relname as partition
       from pg_catalog.pg_inherits i
       join pg_catalog.pg_class c on c.oid = i.inhparent join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       join pg_catalog.pg_class p on p.oid = i.inhrelid join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
       where i.inhdetachpending and n.nspname = $1 order by 1, 2, 4`,
      [schema]
    ),
    ({ rows }) =>
      rows.map((row) => ({
        table: { schema: String(row["schema"]), name: String(row["name"]) },
        partition: { schema: String(row["partitionSchema"]), name: String(row["partition"]) }
      }))
  )

/** The statement that ends a detach which was cut off. */
export const finalizeOf = ({ partition, table }: DetachedPartition): string =>
  `alter table ${quotedName(table)} detach partition ${quotedName(partition)} finalize`

/** The tables of a schema. A partition counts with its parent, unless the parent is in another schema and so stays. */
export const tablesIn = (connection: Connection, schema: string) =>
  qualifiedNames(
    connection,
    `select n.nspname as schema, c.relname as name
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relkind in ('r', 'p') and not (c.relispartition and exists (
       select from pg_catalog.pg_inherits i join pg_catalog.pg_class p on p.oid = i.inhparent
       where i.inhrelid = c.oid and p.relnamespace = c.relnamespace))
     order by 2`,
    [schema]
  )

/**
 * What `truncate … cascade` empties: a table, the tables that refer to it or to a partition of it, and those that refer to them.
 * Partitions count with their parent.
 */
export const referrersOf = (connection: Connection, table: QualifiedName) =>
  qualifiedNames(
    connection,
    `with recursive referrers as (
       select pg_catalog.to_regclass($1)::oid as oid
       union select found.oid from referrers r cross join lateral (
         select c.conrelid from pg_catalog.pg_constraint c where c.confrelid = r.oid and c.contype = 'f'
         union all select i.inhrelid from pg_catalog.pg_inherits i where i.inhparent = r.oid
       ) as found (oid)
     )
     select n.nspname as schema, c.relname as name from referrers r join pg_catalog.pg_class c on c.oid = r.oid
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where not exists (
       select from pg_catalog.pg_inherits i join referrers p on p.oid = i.inhparent where i.inhrelid = r.oid)
     order by 1, 2`,
    [quotedName(table)]
  )

/**
 * Relations with data that `drop … cascade` of a table or schema also changes or drops: relations outside it that depend on it
 * through pg_depend (type `i` binds both ways), and columns of relations that stay.
 */
export const dependantsOf = (
  connection: Connection,
  dropped: { readonly table: QualifiedName } | { readonly schema: string }
) =>
  qualifiedNames(
    connection,
    `with recursive
     parts as (
       select pg_catalog.to_regclass($1)::oid as oid
       union select c.oid from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where n.nspname = $2
       union select i.inhrelid from parts p join pg_catalog.pg_inherits i on i.inhparent = p.oid
     ),
     gone as (
       select 'pg_catalog.pg_class'::pg_catalog.regclass::oid as classid, pg_catalog.to_regclass($1)::oid as objid, 0 as objsubid
       union all select 'pg_catalog.pg_namespace'::pg_catalog.regclass::oid, n.oid, 0
         from pg_catalog.pg_namespace n where n.nspname = $2
       union select found.* from gone g cross join lateral (
         select d.classid, d.objid, d.objsubid from pg_catalog.pg_depend d
         where d.refclassid = g.classid and d.refobjid = g.objid and (g.objsubid = 0 or d.refobjsubid = g.objsubid)
         union all select d.refclassid, d.refobjid, d.refobjsubid from pg_catalog.pg_depend d
         where d.classid = g.classid and d.objid = g.objid and d.deptype = 'i'
       ) as found
     )
     select distinct n.nspname as schema, c.relname as name
     from gone g join pg_catalog.pg_class c on c.oid = g.objid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where g.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and c.relkind in ('r', 'p', 'f', 'c')
       and c.oid not in (select oid from parts where oid is not null)
     order by 1, 2`,
    ["table" in dropped ? quotedName(dropped.table) : null, "schema" in dropped ? dropped.schema : null]
  )

/**
 * True if writing to a relation may change other rows: it or a partition has triggers, rules or references with an action, or it
 * is a view or a foreign table. Null if there is no such relation.
 */
export const writingDoesMore = (
  connection: Connection,
  table: QualifiedName
): Effect.Effect<boolean | null, DatabaseError> =>
  connection
    .query(
      `with recursive parts as (
         select pg_catalog.to_regclass($1)::oid as oid
         union select i.inhrelid from parts p join pg_catalog.pg_inherits i on i.inhparent = p.oid
       )
       select pg_catalog.bool_or(
         c.relkind not in ('r', 'p')
         or exists (select from pg_catalog.pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal)
         or exists (select from pg_catalog.pg_rewrite w where w.ev_class = c.oid)
         or exists (select from pg_catalog.pg_constraint f where f.confrelid = c.oid and f.contype = 'f'
           and (f.confdeltype in ('c', 'n', 'd') or f.confupdtype in ('c', 'n', 'd')))) as more
       from parts p join pg_catalog.pg_class c on c.oid = p.oid`,
      [quotedName(table)]
    )
    .pipe(Effect.map(({ rows }) => (typeof rows[0]?.["more"] === "boolean" ? rows[0]["more"] : null)))

/** Keeps those that can be locked: tables and views that exist. */
export const lockable = (connection: Connection, tables: ReadonlyArray<QualifiedName>) =>
  Effect.filter(tables, (table) =>
    Effect.map(
      connection.query(
        "select from pg_catalog.pg_class where oid = pg_catalog.to_regclass($1) and relkind in ('r', 'p', 'v')",
        [quotedName(table)]
      ),
      ({ rows }) => rows.length > 0
    )
  )

/** `some`: counting takes too long. `absent`: the table or column does not exist. `hidden`: this role may not see every row. */
type RowCount = number | "some" | "absent" | "hidden"

/** Runs a query under settings that end with it. */
export type BoundedQuery = (settings: string, text: string) => Effect.Effect<QueryResult, DatabaseError>

/** Runs the query in a transaction of its own. */
export const inOwnTransaction =
  (connection: Connection): BoundedQuery =>
  (settings, text) =>
    connection.transaction(Effect.zipRight(connection.query(settings), connection.query(text)))

/** Runs the query in a savepoint of the open transaction, which an error of the query does not abort. */
export const inSavepoint =
  (connection: Connection): BoundedQuery =>
  (settings, text) => {
    const back = connection.query("rollback to savepoint loss; release savepoint loss")
    return connection.query(`savepoint loss; ${settings}`).pipe(
      Effect.zipRight(connection.query(text)),
      Effect.tapError(() => Effect.ignore(back)),
      Effect.zipLeft(back)
    )
  }

/**
 * Counts the rows of a table, or the values of a column that are not null. With row_security off PostgreSQL refuses to count
 * where a policy would hide rows, instead of leaving them out.
 */
export const countRows = (
  bounded: BoundedQuery,
  table: QualifiedName,
  column: string | null,
  longest: Duration.Duration
): Effect.Effect<RowCount, DatabaseError> => {
  const value = column === null ? null : quotedName({ schema: null, name: column })
  const settings =
    "set local transaction_read_only = on; set local row_security = off; " +
    `set local statement_timeout = ${Math.ceil(Duration.toMillis(longest))}`
  const some = bounded(
    settings,
    `select 1 from ${quotedName(table)} ${value === null ? "" : `where ${value} is not null`} limit 1`
  ).pipe(Effect.map(({ rows }): RowCount => (rows.length === 0 ? 0 : "some")))
  return bounded(settings, `select count(${value ?? "*"}) as rows from ${quotedName(table)}`).pipe(
    Effect.map(({ rows }): RowCount => Number(rows[0]?.["rows"])),
    Effect.catchAll((error) => {
      // 42P01, 3F000: no such table. 42703: no such column. 42501: not permitted. 57014: statement_timeout passed.
      if (["42P01", "3F000", "42703"].includes(error.sqlstate ?? "")) return Effect.succeed<RowCount>("absent")
      if (error.sqlstate === "42501") return Effect.succeed<RowCount>("hidden")
      if (error.sqlstate !== "57014") return Effect.fail(error)
      return Effect.catchIf(
        some,
        ({ sqlstate }) => sqlstate === "57014",
        () => Effect.succeed<RowCount>("some")
      )
    })
  )
}
