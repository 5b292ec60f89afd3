import { type CatalogQuery, described, firstOwnOid, isNotOfExtension, isOurs } from "./CatalogQuery.ts"

/** The privileges that an object of a kind has without any grant. Null and their explicit form mean the same. */
export const withDefault = (acl: string, kind: string, owner: string): string =>
  `coalesce(${acl}, pg_catalog.acldefault(${kind}, ${owner}))`

/** The entries of a list of privileges in an order of their own, to compare two lists. */
const entriesOf = (acl: string): string =>
  `(select pg_catalog.array_agg(x::text order by x::text) from pg_catalog.unnest(${acl}) as x)`

/** Null where the privileges are those of an object without any grant. */
export const unlessDefault = (acl: string, kind: string, owner: string): string =>
  `case when ${entriesOf(acl)} is distinct from ${entriesOf(`pg_catalog.acldefault(${kind}, ${owner})`)} then ${acl} end`

/** One line for each grantee. An object without grants has the default privileges of its kind, so that equal privileges give equal lines. */
export const privileges = (kind: string, name: string, acl: string, from: string): string =>
  described(
    `'privileges of ' || case when x.grantee = 0 then 'public' else x.grantee::regrole::text end || ' on ${kind}' || o.name`,
    `pg_catalog.string_agg(x.privilege_type || case when x.is_grantable then '*' else '' end, ', ' order by x.privilege_type, x.is_grantable)`,
    `(select ${name} as name, ${acl} as acl from ${from}) as o, lateral pg_catalog.aclexplode(o.acl) as x
     group by o.name, x.grantee`
  )

/** Privileges on PostgreSQL's own objects, where they differ from those that it was installed with. */
const ofSystem = (
  object: string,
  catalog: string,
  [name, acl, owner, namespace]: readonly [name: string, acl: string, owner: string, namespace: string],
  kind: string
): string => {
  const known = `pg_catalog.pg_init_privs p where p.classoid = 'pg_catalog.${catalog}'::regclass and p.objsubid = 0`
  const installed = `(select p.initprivs from ${known} and p.objoid = o.oid)`
  return privileges(
    object,
    name,
    withDefault(acl, kind, owner),
    // First the few objects that may differ; all of them are thousands.
    `(select * from pg_catalog.${catalog} where oid < ${firstOwnOid} and ${namespace} = 'pg_catalog'::regnamespace
       and (${acl.replace("o.", "")} is not null or oid in (select p.objoid from ${known})) offset 0) as o
     where ${entriesOf(withDefault(acl, kind, owner))} is distinct from ${entriesOf(withDefault(installed, kind, owner))}`
  )
}

const granted: ReadonlyArray<string> = [
  privileges(
    "relation ",
    "c.oid::regclass::text",
    withDefault("c.relacl", `case c.relkind when 'S' then 's'::"char" else 'r'::"char" end`, "c.relowner"),
    `pg_catalog.pg_class c where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and ${isOurs("c.relnamespace", "pg_class", "c.oid")}`
  ),
  privileges(
    "column ",
    "(a.attrelid::regclass || '.' || a.attname)",
    "a.attacl",
    `pg_catalog.pg_class c join pg_catalog.pg_attribute a on a.attrelid = c.oid
     where a.attacl is not null and not a.attisdropped and ${isOurs("c.relnamespace", "pg_class", "c.oid")}`
  ),
  privileges(
    "function ",
    "p.oid::regprocedure::text",
    withDefault("p.proacl", "'f'", "p.proowner"),
    `pg_catalog.pg_proc p where ${isOurs("p.pronamespace", "pg_proc", "p.oid")}`
  ),
  privileges(
    "schema ",
    "n.oid::regnamespace::text",
    withDefault("n.nspacl", "'n'", "n.nspowner"),
    `pg_catalog.pg_namespace n where ${isOurs("n.oid", "pg_namespace", "n.oid")}`
  ),
  privileges(
    "type ",
    "t.oid::regtype::text",
    // The row type of a table is owned by the owner of the table; it has no line of its own without a grant.
    unlessDefault("t.typacl", "'T'", "t.typowner"),
    `pg_catalog.pg_type t where t.typacl is not null and ${isOurs("t.typnamespace", "pg_type", "t.oid")}`
  ),
  privileges(
    "language ",
    "l.lanname::text",
    unlessDefault("l.lanacl", "'l'", "l.lanowner"),
    "pg_catalog.pg_language l where l.lanacl is not null"
  ),
  privileges(
    "foreign data wrapper ",
    "w.fdwname::text",
    unlessDefault("w.fdwacl", "'F'", "w.fdwowner"),
    `pg_catalog.pg_foreign_data_wrapper w where w.fdwacl is not null and ${isNotOfExtension("pg_foreign_data_wrapper", "w.oid")}`
  ),
  privileges(
    "server ",
    "s.srvname::text",
    unlessDefault("s.srvacl", "'S'", "s.srvowner"),
    "pg_catalog.pg_foreign_server s where s.srvacl is not null"
  ),
  privileges(
    "the database",
    "''",
    withDefault("d.datacl", "'d'", "d.datdba"),
    "pg_catalog.pg_database d where d.datname = pg_catalog.current_database()"
  ),
  ofSystem(
    "relation ",
    "pg_class",
    ["o.oid::regclass::text", "o.relacl", "o.relowner", "relnamespace"],
    `case o.relkind when 'S' then 's'::"char" else 'r'::"char" end`
  ),
  ofSystem("function ", "pg_proc", ["o.oid::regprocedure::text", "o.proacl", "o.proowner", "pronamespace"], "'f'"),
  ofSystem("type ", "pg_type", ["o.oid::regtype::text", "o.typacl", "o.typowner", "typnamespace"], "'T'")
]

/** Without a row, or with the privileges of PostgreSQL itself, nothing is changed. */
const defaultPrivileges = described(
  `'default privileges of ' || d.defaclrole::regrole || ' on ' || d.defaclobjtype::text
     || case when d.defaclnamespace = 0 then '' else ' in ' || d.defaclnamespace::regnamespace end`,
  `(select pg_catalog.string_agg(
       case when x.grantee = 0 then 'public' else x.grantee::regrole::text end || '=' || x.privilege_type || case when x.is_grantable then '*' else '' end,
       ', ' order by case when x.grantee = 0 then 'public' else x.grantee::regrole::text end, x.privilege_type)
     from pg_catalog.aclexplode(d.defaclacl) as x)`,
  "pg_catalog.pg_default_acl d"
)

const settings = described(
  `'settings of ' || case when s.setrole = 0 then 'the database' else s.setrole::regrole::text end`,
  "(select pg_catalog.array_agg(c order by c) from pg_catalog.unnest(s.setconfig) as c)",
  `pg_catalog.pg_db_role_setting s
   where s.setdatabase = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())`
)

/** Comments of our objects, and of those of PostgreSQL that a database commonly describes again: schemas, extensions, languages. */
const comments = described(
  `'comment on ' || i.type || ' ' || i.identity`,
  "d.description",
  `pg_catalog.pg_description d,
     lateral pg_catalog.pg_identify_object(d.classoid, d.objoid, d.objsubid) as i
   where d.objoid >= ${firstOwnOid} or d.classoid in ('pg_catalog.pg_namespace'::regclass, 'pg_catalog.pg_extension'::regclass,
     'pg_catalog.pg_language'::regclass)`
)

const labels = described(
  `'security label on ' || i.type || ' ' || i.identity || ' by ' || l.provider`,
  "l.label",
  `pg_catalog.pg_seclabel l, lateral pg_catalog.pg_identify_object(l.classoid, l.objoid, l.objsubid) as i`
)

/** Large objects have numbers instead of names, so only how many there are of each owner, and their privileges, can be compared. */
const largeObjects = described(
  "'large objects of ' || l.lomowner::regrole",
  `pg_catalog.count(*) || coalesce(pg_catalog.string_agg(' ' || (${unlessDefault("l.lomacl", "'L'", "l.lomowner")})::text, ''
     order by l.lomacl::text), '')`,
  "pg_catalog.pg_largeobject_metadata l group by l.lomowner"
)

/** Privileges, comments, labels and settings: what is said of objects, and by whom they may be used. */
export const annotationQueries: ReadonlyArray<CatalogQuery> = [
  ...granted,
  defaultPrivileges,
  settings,
  comments,
  labels,
  largeObjects
].map((query) => () => query)
