import { described, firstOwnOid, isOurs } from "./CatalogScope.ts"

/** An object without grants of its own has those that its kind begins with: the same privileges, the same lines. */
const privileges = (kind: string, name: string, acl: string, from: string): string =>
  described(
    `'privileges of ' || case when x.grantee = 0 then 'public' else x.grantee::regrole::text end || ' on ${kind}' || o.name`,
    `pg_catalog.string_agg(x.privilege_type || case when x.is_grantable then '*' else '' end, ', ' order by x.privilege_type)`,
    `(select ${name} as name, ${acl} as acl from ${from}) as o, lateral pg_catalog.aclexplode(o.acl) as x
     group by o.name, x.grantee`
  )

const granted = [
  privileges(
    "relation ",
    "c.oid::regclass::text",
    "coalesce(c.relacl, pg_catalog.acldefault(case c.relkind when 'S' then 's'::\"char\" else 'r'::\"char\" end, c.relowner))",
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
    "coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))",
    `pg_catalog.pg_proc p where ${isOurs("p.pronamespace", "pg_proc", "p.oid")}`
  ),
  privileges(
    "schema ",
    "n.oid::regnamespace::text",
    "coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))",
    `pg_catalog.pg_namespace n where ${isOurs("n.oid", "pg_namespace", "n.oid")}`
  ),
  privileges(
    "type ",
    "t.oid::regtype::text",
    "t.typacl",
    `pg_catalog.pg_type t where t.typacl is not null and ${isOurs("t.typnamespace", "pg_type", "t.oid")}`
  ),
  privileges(
    "the database",
    "''",
    "coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))",
    "pg_catalog.pg_database d where d.datname = pg_catalog.current_database()"
  )
]

const defaultPrivileges = described(
  `'default privileges of ' || d.defaclrole::regrole || ' on ' || d.defaclobjtype::text
     || case when d.defaclnamespace = 0 then '' else ' in ' || d.defaclnamespace::regnamespace end`,
  `(select pg_catalog.string_agg(acl::text, ', ' order by acl::text) from pg_catalog.unnest(d.defaclacl) as acl)`,
  "pg_catalog.pg_default_acl d"
)

const comments = described(
  `'comment on ' || i.type || ' ' || i.identity`,
  "d.description",
  `pg_catalog.pg_description d,
     lateral pg_catalog.pg_identify_object(d.classoid, d.objoid, d.objsubid) as i
   where d.objoid >= ${firstOwnOid}`
)

/** What is said about objects: who may use them, and comments. */
export const annotationQueries = [...granted, defaultPrivileges, comments]
