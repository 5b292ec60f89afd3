import {
  type CatalogQuery,
  described,
  firstOwnOid,
  identified,
  isNotOfExtension,
  isOurs,
  restOfRow
} from "./CatalogQuery.ts"

const schemas: CatalogQuery = () =>
  described(
    `'schema ' || n.oid::regnamespace`,
    "''",
    `pg_catalog.pg_namespace n where ${isOurs("n.oid", "pg_namespace", "n.oid")}`,
    "n.nspowner"
  )

/** An oid column as the name of a function, an operator or a type; 0 is absent. */
const named = (column: string, type: "regprocedure" | "regoperator" | "regtype"): string =>
  `'${column.replace(/^.*\./, "")} ' || nullif(${column}::oid, 0)::${type}`

const aggregate = `(select pg_catalog.concat_ws(' ', ${restOfRow("g", "aggfnoid", "aggsortop", "aggtranstype", "aggmtranstype")}::text,
       ${named("g.aggsortop", "regoperator")}, ${named("g.aggtranstype", "regtype")}, ${named("g.aggmtranstype", "regtype")},
       'parallel ' || p.proparallel::text)
     from pg_catalog.pg_aggregate g where g.aggfnoid = p.oid)`

const functions: CatalogQuery = () =>
  described(
    `case p.prokind when 'p' then 'procedure ' when 'a' then 'aggregate ' when 'w' then 'window function ' else 'function ' end
     || p.oid::regprocedure`,
    `case when p.prokind = 'a' then ${aggregate} else pg_catalog.pg_get_functiondef(p.oid) end`,
    `pg_catalog.pg_proc p where ${isOurs("p.pronamespace", "pg_proc", "p.oid")}`,
    "p.proowner"
  )

/** A range type with what PostgreSQL needs to use it. */
const range = `(select pg_catalog.concat_ws(' ', 'range of', r.rngsubtype::regtype,
       'multirange', r.rngmultitypid::regtype, nullif(r.rngcanonical::oid, 0)::regprocedure, nullif(r.rngsubdiff::oid, 0)::regprocedure,
       (select 'operators ' || i.identity from ${"lateral pg_catalog.pg_identify_object('pg_catalog.pg_opclass'::regclass, r.rngsubopc, 0) as i"}),
       'collate ' || nullif(r.rngcollation, 0)::regcollation)
     from pg_catalog.pg_range r where r.rngtypid = t.oid)`

/** What is special to a base type: its functions and its storage. */
const baseType = restOfRow(
  "t",
  ..."typname typnamespace typowner typrelid typelem typarray typacl typbasetype typdefaultbin typcollation".split(" ")
)

const types: CatalogQuery = () =>
  described(
    `case t.typtype when 'e' then 'enum ' when 'd' then 'domain ' else 'type ' end || t.oid::regtype`,
    `pg_catalog.concat_ws(', ',
     (select pg_catalog.string_agg(e.enumlabel, ' < ' order by e.enumsortorder) from pg_catalog.pg_enum e where e.enumtypid = t.oid),
     case when t.typtype = 'd' then pg_catalog.format_type(t.typbasetype, t.typtypmod) end,
     case when t.typtype = 'd' and t.typcollation <> b.typcollation then 'collate ' || t.typcollation::regcollation end,
     case when t.typnotnull then 'not null' end,
     'default ' || t.typdefault,
     ${range},
     case when t.typtype = 'b' then ${baseType}::text end)`,
    // The row type of a table and its array type belong to the table.
    `pg_catalog.pg_type t left join pg_catalog.pg_type b on b.oid = t.typbasetype
     where t.typtype in ('e', 'd', 'r', 'm', 'b') and t.typelem = 0 and ${isOurs("t.typnamespace", "pg_type", "t.oid")}`,
    "t.typowner"
  )

const extensions: CatalogQuery = () =>
  described(
    `'extension ' || e.extname`,
    `pg_catalog.concat_ws(' ', e.extversion, 'in', e.extnamespace::regnamespace, 'dumps',
       (select pg_catalog.string_agg(t::regclass::text, ', ' order by t::regclass::text) from pg_catalog.unnest(e.extconfig) as t),
       e.extcondition::text)`,
    "pg_catalog.pg_extension e",
    "e.extowner"
  )

/** `depends on extension`: the object goes with an extension, though it is not part of it. */
const dependencies: CatalogQuery = () =>
  described(
    `'dependency of ' || i.type || ' ' || i.identity || ' on extension ' || e.extname`,
    "''",
    `pg_catalog.pg_depend d join pg_catalog.pg_extension e on e.oid = d.refobjid,
       lateral pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) as i
     where d.deptype = 'x' and d.refclassid = 'pg_catalog.pg_extension'::regclass`
  )

const eventTriggers: CatalogQuery = () =>
  described(
    `'event trigger ' || v.evtname`,
    `pg_catalog.concat_ws(' ', v.evtevent, v.evtfoid::regprocedure, v.evtenabled, v.evttags::text)`,
    `pg_catalog.pg_event_trigger v where ${isNotOfExtension("pg_event_trigger", "v.oid")}`,
    "v.evtowner"
  )

interface CatalogOptions {
  readonly owner?: string
  /** The first `server_version_num` that has this catalog. */
  readonly since?: number
  /** The object to which a row belongs, also as a part of an extension. */
  readonly memberOf?: readonly [catalog: string, oid: string]
}

/** A catalog whose rows PostgreSQL names itself. `detail` describes the row `o`. */
const catalog =
  (name: string, detail: string, { memberOf = [name, "o.oid"], owner, since = 0 }: CatalogOptions = {}): CatalogQuery =>
  ({ version }) =>
    version < since
      ? ""
      : described(
          "i.type || ' ' || i.identity",
          detail,
          `pg_catalog.${name} o, ${identified(name, "o")}
     where o.oid >= ${firstOwnOid} and coalesce(i.schema, '') !~ '^(pg_|information_schema$)' and ${isNotOfExtension(...memberOf)}`,
          owner
        )

/** The row without the columns that its name says. */
const rest = (...without: ReadonlyArray<string>): string => `${restOfRow("o", ...without)}::text`

const publications: CatalogQuery = (scope) =>
  catalog(
    "pg_publication_rel",
    scope.version < 150_000
      ? "''"
      : `pg_catalog.concat_ws(' ', 'columns ' || (select pg_catalog.string_agg(a.attname, ', ' order by a.attname)
           from pg_catalog.pg_attribute a where a.attrelid = o.prrelid and a.attnum = any (o.prattrs)),
         'where ' || pg_catalog.pg_get_expr(o.prqual, o.prrelid))`
  )(scope)

/** Which dictionaries a text search configuration uses, by kind of token. */
const dictionaries = `(select pg_catalog.string_agg(m.maptokentype || ' ' || m.mapdict::regdictionary, ', ' order by m.maptokentype, m.mapseqno)
    from pg_catalog.pg_ts_config_map m where m.mapcfg = o.oid)`

const identity = (name: string, oid: string): string =>
  `(select x.identity from ${`pg_catalog.pg_identify_object('pg_catalog.${name}'::regclass, ${oid}, 0) as x`})`

/** Values of a mapping may be secrets; the user of the other server is the only one that is shown. */
const userMapping = `(select pg_catalog.string_agg(case when u.option_name = 'user' then 'user=' || u.option_value else u.option_name end, ', ' order by u.option_name)
    from pg_catalog.pg_options_to_table(o.umoptions) as u)`

const others: ReadonlyArray<CatalogQuery> = [
  catalog("pg_am", rest("amname")),
  catalog(
    "pg_cast",
    `pg_catalog.concat_ws(' ', nullif(o.castfunc, 0)::regprocedure, ${rest("castsource", "casttarget", "castfunc")})`
  ),
  catalog("pg_collation", rest("collname", "collnamespace", "collowner", "collversion"), { owner: "o.collowner" }),
  catalog("pg_conversion", rest("conname", "connamespace", "conowner"), { owner: "o.conowner" }),
  catalog(
    "pg_foreign_data_wrapper",
    `pg_catalog.concat_ws(' ', 'handler ' || nullif(o.fdwhandler, 0)::regprocedure, 'validator ' || nullif(o.fdwvalidator, 0)::regprocedure,
       o.fdwoptions::text)`,
    { owner: "o.fdwowner" }
  ),
  catalog(
    "pg_foreign_server",
    `pg_catalog.concat_ws(' ', ${identity("pg_foreign_data_wrapper", "o.srvfdw")}, 'type ' || o.srvtype, 'version ' || o.srvversion, o.srvoptions::text)`,
    { owner: "o.srvowner" }
  ),
  catalog(
    "pg_language",
    `pg_catalog.concat_ws(' ', case when o.lanpltrusted then 'trusted' end, ${named("o.lanplcallfoid", "regprocedure")},
       ${named("o.laninline", "regprocedure")}, ${named("o.lanvalidator", "regprocedure")})`,
    { owner: "o.lanowner" }
  ),
  catalog(
    "pg_opclass",
    `pg_catalog.concat_ws(' ', ${identity("pg_opfamily", "o.opcfamily")}, o.opcintype::regtype, nullif(o.opckeytype, 0)::regtype,
       case when o.opcdefault then 'default' end)`,
    { owner: "o.opcowner" }
  ),
  catalog("pg_opfamily", "''", { owner: "o.opfowner" }),
  catalog(
    "pg_amop",
    `pg_catalog.concat_ws(' ', o.amoppurpose, ${identity("pg_opfamily", "nullif(o.amopsortfamily, 0)")})`,
    { memberOf: ["pg_opfamily", "o.amopfamily"] }
  ),
  catalog("pg_amproc", "o.amproc::regprocedure", { memberOf: ["pg_opfamily", "o.amprocfamily"] }),
  catalog(
    "pg_operator",
    `pg_catalog.concat_ws(' ', ${named("o.oprresult", "regtype")}, ${named("o.oprcom", "regoperator")}, ${named("o.oprnegate", "regoperator")},
       ${rest(..."oprname oprnamespace oprowner oprleft oprright oprresult oprcom oprnegate".split(" "))})`,
    { owner: "o.oprowner" }
  ),
  catalog("pg_publication", rest("pubname", "pubowner"), { owner: "o.pubowner" }),
  publications,
  catalog("pg_publication_namespace", "''", { since: 150_000 }),
  catalog("pg_transform", rest("trftype", "trflang")),
  catalog("pg_ts_config", `pg_catalog.concat_ws(' ', ${identity("pg_ts_parser", "o.cfgparser")}, ${dictionaries})`, {
    owner: "o.cfgowner"
  }),
  catalog(
    "pg_ts_dict",
    `pg_catalog.concat_ws(' ', ${identity("pg_ts_template", "o.dicttemplate")}, o.dictinitoption)`,
    { owner: "o.dictowner" }
  ),
  catalog("pg_ts_parser", rest("prsname", "prsnamespace")),
  catalog("pg_ts_template", rest("tmplname", "tmplnamespace")),
  catalog("pg_user_mapping", userMapping)
]

/** Objects that do not belong to a relation. */
export const objectQueries: ReadonlyArray<CatalogQuery> = [
  schemas,
  functions,
  types,
  extensions,
  dependencies,
  eventTriggers,
  ...others
]
