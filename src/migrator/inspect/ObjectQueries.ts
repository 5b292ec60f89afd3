import { described, firstOwnOid, isOurs } from "./CatalogScope.ts"

const schemas = described(
  `'schema ' || n.oid::regnamespace`,
  `'owner ' || n.nspowner::regrole`,
  `pg_catalog.pg_namespace n where ${isOurs("n.oid", "pg_namespace", "n.oid")}`
)

const functions = described(
  `case p.prokind when 'p' then 'procedure ' when 'a' then 'aggregate ' when 'w' then 'window function ' else 'function ' end
     || p.oid::regprocedure`,
  `pg_catalog.concat_ws(', ', 'owner ' || p.proowner::regrole,
     case when p.prokind = 'a' then (select pg_catalog.concat_ws(' ', g.aggtransfn, g.aggfinalfn, g.agginitval)
       from pg_catalog.pg_aggregate g where g.aggfnoid = p.oid)
     else pg_catalog.pg_get_functiondef(p.oid) end)`,
  `pg_catalog.pg_proc p where ${isOurs("p.pronamespace", "pg_proc", "p.oid")}`
)

const types = described(
  `case t.typtype when 'e' then 'enum ' when 'd' then 'domain ' else 'type ' end || t.oid::regtype`,
  `pg_catalog.concat_ws(', ', 'owner ' || t.typowner::regrole,
     (select pg_catalog.string_agg(e.enumlabel, ' < ' order by e.enumsortorder) from pg_catalog.pg_enum e where e.enumtypid = t.oid),
     case when t.typtype = 'd' then pg_catalog.format_type(t.typbasetype, t.typtypmod) end,
     case when t.typnotnull then 'not null' end,
     'default ' || t.typdefault,
     (select 'range of ' || r.rngsubtype::regtype from pg_catalog.pg_range r where r.rngtypid = t.oid))`,
  // A table's row type and its array come and go with the table.
  `pg_catalog.pg_type t where t.typtype in ('e', 'd', 'r', 'm', 'b') and t.typelem = 0
     and ${isOurs("t.typnamespace", "pg_type", "t.oid")}`
)

const extensions = described(
  `'extension ' || e.extname`,
  `e.extversion || ' in ' || e.extnamespace::regnamespace`,
  "pg_catalog.pg_extension e"
)

const eventTriggers = described(
  `'event trigger ' || v.evtname`,
  `pg_catalog.concat_ws(' ', v.evtevent, v.evtfoid::regprocedure, v.evtenabled, v.evttags::text)`,
  "pg_catalog.pg_event_trigger v"
)

const settings = described(
  `'settings of ' || case when s.setrole = 0 then 'the database' else s.setrole::regrole::text end`,
  `s.setconfig::text`,
  `pg_catalog.pg_db_role_setting s
   where s.setdatabase = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())`
)

/** Kinds that a migration seldom makes: that they are there is compared, not what they are like. */
const others = [
  "pg_am",
  "pg_cast",
  "pg_collation",
  "pg_conversion",
  "pg_foreign_data_wrapper",
  "pg_foreign_server",
  "pg_language",
  "pg_opclass",
  "pg_operator",
  "pg_opfamily",
  "pg_publication",
  "pg_transform",
  "pg_ts_config",
  "pg_ts_dict",
  "pg_ts_parser",
  "pg_ts_template",
  "pg_user_mapping"
].map((catalog) =>
  described(
    "i.type || ' ' || i.identity",
    "''",
    `pg_catalog.${catalog} o,
       lateral pg_catalog.pg_identify_object('pg_catalog.${catalog}'::regclass, o.oid, 0) as i
     where o.oid >= ${firstOwnOid} and coalesce(i.schema, '') !~ '^(pg_|information_schema$)'
       and not exists (select from pg_catalog.pg_depend e where e.classid = 'pg_catalog.${catalog}'::regclass
         and e.objid = o.oid and e.deptype = 'e')`
  )
)

/** Everything that is no relation and hangs on none. */
export const objectQueries = [schemas, functions, types, extensions, eventTriggers, settings, ...others]
