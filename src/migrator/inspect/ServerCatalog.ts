import { privileges, unlessDefault, withDefault } from "./AnnotationCatalog.ts"
import { type CatalogQuery, described, restOfRow } from "./CatalogQuery.ts"

/** Roles with their attributes; passwords are not read. */
const roles: CatalogQuery = () =>
  described(
    "'role ' || r.rolname",
    `${restOfRow("r", "rolname", "rolpassword", "rolconfig")}`,
    "pg_catalog.pg_roles r where r.rolname !~ '^pg_'"
  )

const memberships: CatalogQuery = () =>
  described(
    "'membership of ' || m.member::regrole || ' in ' || m.roleid::regrole || ' by ' || coalesce(m.grantor::regrole::text, '')",
    restOfRow("m", "roleid", "member", "grantor"),
    "pg_catalog.pg_auth_members m where m.member >= 16384"
  )

/** Settings of a role in every database. */
const roleSettings: CatalogQuery = () =>
  described(
    "'settings of role ' || s.setrole::regrole",
    "(select pg_catalog.array_agg(c order by c) from pg_catalog.unnest(s.setconfig) as c)",
    "pg_catalog.pg_db_role_setting s where s.setdatabase = 0"
  )

const databases: CatalogQuery = () =>
  described(
    "'database ' || d.datname",
    `pg_catalog.concat_ws(' ', pg_catalog.pg_encoding_to_char(d.encoding), 'connections', d.datconnlimit,
       case when d.datistemplate then 'template' end, case when not d.datallowconn then 'closed' end,
       (select 'tablespace ' || t.spcname from pg_catalog.pg_tablespace t where t.oid = d.dattablespace),
       (${unlessDefault("d.datacl", "'d'", "d.datdba")})::text)`,
    "pg_catalog.pg_database d where d.datname <> pg_catalog.current_database()",
    "d.datdba"
  )

const tablespaces: CatalogQuery = () =>
  described(
    "'tablespace ' || t.spcname",
    "pg_catalog.concat_ws(' ', pg_catalog.pg_tablespace_location(t.oid), t.spcoptions::text)",
    "pg_catalog.pg_tablespace t where t.spcname !~ '^pg_'",
    "t.spcowner"
  )

const tablespacePrivileges: CatalogQuery = () =>
  privileges(
    "tablespace ",
    "t.spcname::text",
    withDefault("t.spcacl", "'t'", "t.spcowner"),
    "pg_catalog.pg_tablespace t where t.spcname !~ '^pg_'"
  )

const parameters: CatalogQuery = ({ version }) =>
  version < 150_000
    ? ""
    : privileges("parameter ", "p.parname", "p.paracl", "pg_catalog.pg_parameter_acl p where p.paracl is not null")

/** `alter system`. */
const systemSettings: CatalogQuery = () =>
  described(
    "'system setting ' || s.name",
    "s.setting",
    "pg_catalog.pg_file_settings s where s.sourcefile ~ 'postgresql[.]auto[.]conf$'"
  )

/** Without the connection string, which may hold a password. */
const subscriptions: CatalogQuery = () =>
  described(
    "'subscription ' || s.subname",
    `pg_catalog.concat_ws(' ', case when s.subenabled then 'enabled' end, s.subslotname, s.subsynccommit, s.subpublications::text,
       s.subbinary::text, s.substream::text)`,
    `pg_catalog.pg_subscription s
     where s.subdbid = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())`,
    "s.subowner"
  )

const replication: ReadonlyArray<CatalogQuery> = [
  () =>
    described(
      "'replication slot ' || r.slot_name",
      "pg_catalog.concat_ws(' ', r.slot_type, r.plugin)",
      "pg_catalog.pg_replication_slots r"
    ),
  () => described("'replication origin ' || o.roname", "''", "pg_catalog.pg_replication_origin o")
]

/** Comments on roles and tablespaces. A scratch database has no comment that another could have too. */
const comments: CatalogQuery = () =>
  described(
    "'comment on ' || i.type || ' ' || i.identity",
    "d.description",
    `pg_catalog.pg_shdescription d, lateral pg_catalog.pg_identify_object(d.classoid, d.objoid, 0) as i`
  )

const labels: CatalogQuery = () =>
  described(
    "'security label on ' || i.type || ' ' || i.identity || ' by ' || l.provider",
    "l.label",
    "pg_catalog.pg_shseclabel l, lateral pg_catalog.pg_identify_object(l.classoid, l.objoid, 0) as i"
  )

/** What the databases of a server share. Reading it needs a superuser. */
export const serverQueries: ReadonlyArray<CatalogQuery> = [
  roles,
  memberships,
  roleSettings,
  databases,
  tablespaces,
  tablespacePrivileges,
  parameters,
  systemSettings,
  subscriptions,
  ...replication,
  comments,
  labels
]
