import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import type { Row } from "../../platform/postgres/Connection.ts"
import { quotedName } from "../files/Statements.ts"
import type { HistorySnapshot } from "../history/MigrationHistory.ts"
import type { MigrationSession } from "./Session.ts"

/** The tables in which other migration tools keep their history: the tool, and the column that names the version. */
const historyTables: Readonly<Record<string, readonly [tool: string, column: string]>> = {
  alembic_version: ["Alembic", "version_num"],
  flyway_schema_history: ["Flyway", "version"],
  databasechangelog: ["Liquibase", "id"],
  atlas_schema_revisions: ["Atlas", "version"],
  goose_db_version: ["goose", "version_id"],
  schema_migrations: ["dbmate, Rails or golang-migrate", "version"],
  ar_internal_metadata: ["Rails", "value"],
  _prisma_migrations: ["Prisma", "migration_name"],
  knex_migrations: ["Knex", "name"],
  SequelizeMeta: ["Sequelize", "name"],
  typeorm_migrations: ["TypeORM", "name"],
  __drizzle_migrations: ["Drizzle", "id"],
  mikro_orm_migrations: ["MikroORM", "name"],
  kysely_migration: ["Kysely", "name"],
  pgmigrations: ["node-pg-migrate", "name"],
  effect_sql_migrations: ["@effect/sql", "migration_id"],
  schemaversion: ["Postgrator", "version"],
  django_migrations: ["Django", "name"],
  _yoyo_migration: ["yoyo", "migration_id"],
  __EFMigrationsHistory: ["Entity Framework", "MigrationId"],
  schemaversions: ["DbUp", "scriptname"],
  doctrine_migration_versions: ["Doctrine", "version"],
  phinxlog: ["Phinx", "version"],
  __diesel_schema_migrations: ["Diesel", "version"],
  _sqlx_migrations: ["sqlx", "version"],
  refinery_schema_history: ["Refinery", "version"],
  gorp_migrations: ["sql-migrate", "id"],
  changes: ["sqitch", "change"]
}

/** Tables that only one schema of a tool has; in any other schema the name means something else. */
const onlyIn: Readonly<Record<string, string>> = { changes: "sqitch" }

/** The names of the tables in which other tools keep their history. */
export const otherHistoryTables: ReadonlyArray<string> = Object.keys(historyTables)

/** The schema holds tables but no migration history: another program's tables, or a database older than the migrator. */
export class SchemaNotEmpty extends Schema.TaggedError<SchemaNotEmpty>()("SchemaNotEmpty", {
  service: ServiceName,
  address: Schema.String,
  relations: Schema.Array(Schema.String),
  /** The histories of other tools in the database: `Alembic's router.alembic_version, at ae1027a6acf`. */
  otherTools: Schema.Array(Schema.String)
}) {
  readonly exitCode = ExitCode.refused
  override get message(): string {
    const { otherTools, relations, service } = this
    const adopt = `adopt them as they are: pnpm migrate --service ${service} stamp <the revision that they are at> --reason "<why>"`
    const found = otherTools.length === 0 ? "" : `. It has the history of another tool: ${otherTools.join("; ")}`
    const drop =
      otherTools.length === 0
        ? `; if they may go: drop schema ${service} cascade; then: pnpm migrate --service ${service} upgrade`
        : ""
    return (
      `${service}: the schema ${service} of ${this.address} has no migration history, but is not empty ` +
      `(${relations.join(", ")})${found}; nothing was run. If these are its tables, ${adopt}${drop}`
    )
  }
}

const named = (row: Row) => ({ schema: String(row["schema"]), name: String(row["name"]) })

/** Describes the history of another tool, with its last version where this role may read it. */
const describeHistory = Effect.fnUntraced(function* ({ connection }: MigrationSession, row: Row) {
  const table = named(row)
  const [tool, column] = historyTables[table.name] ?? ["another tool", ""]
  const what = `${tool}'s ${table.schema}.${table.name}`
  if (row["readable"] !== true) return what
  const { rows } = yield* connection.query(
    `select version from (select pg_catalog.to_jsonb(t) ->> $1 as version from ${quotedName(table)} as t) as found
     where version is not null order by pg_catalog.length(version) desc, version desc limit 1`,
    [column]
  )
  return rows[0] === undefined ? `${what}, empty` : `${what}, at ${rows[0]["version"]}`
})

/** Finds the histories of other tools, first those in the service's schema. */
const otherTools = Effect.fnUntraced(function* (session: MigrationSession, service: ServiceName) {
  const { rows } = yield* session.connection.query(
    `select n.nspname as schema, c.relname as name, pg_catalog.has_schema_privilege(n.oid, 'usage')
       and pg_catalog.has_table_privilege(c.oid, 'select') as readable
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and c.relname = any ($1) and n.nspname !~ '^pg_'
     order by n.nspname <> $2, 1, 2`,
    [otherHistoryTables, service]
  )
  const found = rows.filter((row) => (onlyIn[named(row).name] ?? named(row).schema) === named(row).schema)
  return yield* Effect.forEach(found, (row) => describeHistory(session, row))
})

const relationsIn = (service: ServiceName): string =>
  `select c.relname as name from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where n.nspname = '${service}' and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') order by 1 limit 10`

/** Why an upgrade would refuse a schema without a history: it is not empty. Null if it is. */
export const unadopted = Effect.fnUntraced(function* (session: MigrationSession, service: ServiceName) {
  const { rows } = yield* session.connection.query(relationsIn(service))
  if (rows.length === 0) return null
  const relations = rows.map((row) => String(row["name"]))
  const others = yield* otherTools(session, service)
  return new SchemaNotEmpty({ service, address: session.address, relations, otherTools: others })
})

interface OpenedSchema {
  readonly set: { readonly service: ServiceName }
  readonly session: MigrationSession
  readonly snapshot: Option.Option<HistorySnapshot>
}

/** The same for a schema that is open: null too if it has a history. */
export const unadoptedIn = ({ session, set, snapshot }: OpenedSchema) =>
  Option.isSome(snapshot)
    ? Effect.succeed(null)
    : Effect.mapError(unadopted(session, set.service), session.refuse("looking for tables without a history"))

/** Fails where `unadoptedIn` finds a reason. */
export const requireAdopted = (opened: OpenedSchema) =>
  Effect.flatMap(unadoptedIn(opened), (found) => (found === null ? Effect.void : Effect.fail(found)))
