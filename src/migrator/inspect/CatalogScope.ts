/** One part of the snapshot: what an object is called, and what it is like. Both are text; the name is unique in all parts. */
export const described = (object: string, detail: string, from: string): string =>
  `select ${object} as object, coalesce((${detail})::text, '') as detail from ${from}`

/** Not PostgreSQL's own, no temporary object, and not part of an extension (the extension itself is a line). */
export const isOurs = (namespace: string, catalog: string, oid: string): string =>
  `${namespace}::regnamespace::text !~ '^pg_' and ${namespace}::regnamespace::text <> 'information_schema'
     and not exists (select from pg_catalog.pg_depend e where e.classid = 'pg_catalog.${catalog}'::regclass
       and e.objid = ${oid} and e.deptype = 'e')`

/** The first oid that `create …` gives: what is below came with PostgreSQL (FirstNormalObjectId in access/transam.h). */
export const firstOwnOid = 16_384
