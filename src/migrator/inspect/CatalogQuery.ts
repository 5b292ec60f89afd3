/** How much of the catalog a snapshot covers. */
export interface CatalogScope {
  /** `server_version_num`, such as 150018: catalogs and columns that a server does not have are left out. */
  readonly version: number
  /** Partitions, which a program makes while it runs, and what belongs to them. */
  readonly partitions: boolean
}

/** A query for one kind of object: columns `object`, `detail` and `owner`, as text. */
export type CatalogQuery = (scope: CatalogScope) => string

/** Selects the name, the description and the owner of each object. A name is unique across all queries. */
export const described = (object: string, detail: string, from: string, owner = "null::oid"): string =>
  `select (${object})::text as object, coalesce((${detail})::text, '') as detail, ${owner}::regrole::text as owner from ${from}`

/** True for objects that are not PostgreSQL's own, temporary, or part of an extension. The extension itself is one object. */
export const isOurs = (namespace: string, catalog: string, oid: string): string =>
  // An array is computed once, a condition on the name for thousands of PostgreSQL's own objects.
  `${namespace} = any (array(select s.oid from pg_catalog.pg_namespace s where s.nspname !~ '^pg_' and s.nspname <> 'information_schema'))
     and ${isNotOfExtension(catalog, oid)}`

/** True for objects that are not part of an extension. */
export const isNotOfExtension = (catalog: string, oid: string): string =>
  `not exists (select from pg_catalog.pg_depend e where e.classid = 'pg_catalog.${catalog}'::regclass
       and e.objid = ${oid} and e.deptype = 'e')`

/** The first oid of objects that users create (FirstNormalObjectId in access/transam.h). */
export const firstOwnOid = 16_384

/** The whole catalog row but the named columns, so that a column of a later PostgreSQL is seen too. */
export const restOfRow = (row: string, ...without: ReadonlyArray<string>): string =>
  `(pg_catalog.to_jsonb(${row}) - array['oid', ${without.map((name) => `'${name}'`).join(", ")}]::text[])`

/** The name and the identity of an object as PostgreSQL's own text, such as `operator app.+(app.a,app.a)`. */
export const identified = (catalog: string, row: string): string =>
  `lateral pg_catalog.pg_identify_object('pg_catalog.${catalog}'::regclass, ${row}.oid, 0) as i`
