import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import { type ServiceName, serviceNames } from "../../../src/domain/Service.ts"
import { migrate } from "../../../src/migrator/apply/Migrate.ts"
import { MigrationsDirectory } from "../../../src/migrator/files/RevisionSet.ts"
import { MigratorOptions, type MigratorOptionsValues } from "../../../src/migrator/MigratorOptions.ts"
import { Target } from "../../../src/migrator/plan/Target.ts"
import { Settings } from "../../../src/platform/config/Settings.ts"
import { Database } from "../../../src/platform/postgres/Database.ts"
import { query } from "../Rows.ts"
import { router } from "./Services.ts"

export { query as ask }

/** A folder of migrations: `{ "router/0001_first.sql": "…" }`, removed when the scope closes. */
export const migrationsOf = (files: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "gravitas-migrations-"))),
    (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
  ).pipe(Effect.tap((path) => write(path, files)))

export const write = (directory: string, files: Readonly<Record<string, string>>) =>
  Effect.promise(async () => {
    for (const service of serviceNames) await mkdir(join(directory, service), { recursive: true })
    for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text)
  })

/** What the migrator needs, as a process whose environment holds these URLs has it. */
export const environment = (options: {
  readonly url: Redacted.Redacted
  readonly migrationUrl?: Redacted.Redacted
  readonly migrations?: string
  readonly services?: ReadonlyArray<ServiceName>
  /** Further variables of its environment. */
  readonly variables?: Readonly<Record<string, string>>
}) => {
  const variables = new Map([
    ["DATABASE_URL", Redacted.value(options.url)],
    ["MIGRATION_DATABASE_URL", Redacted.value(options.migrationUrl ?? options.url)],
    ["DATABASE_CONNECT_DEADLINE", "2s"],
    ...Object.entries(options.variables ?? {})
  ])
  const settings = Settings.layer.pipe(Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(variables))))
  return Layer.mergeAll(
    Database.layer(options.services ?? serviceNames).pipe(Layer.provideMerge(settings)),
    NodeFileSystem.layer,
    Layer.effect(
      MigrationsDirectory,
      Effect.map(MigrationsDirectory, (shipped) => options.migrations ?? shipped)
    )
  )
}

/** The text of a revision file. */
export const revision = (up: string, down = "select 1;", options = "") =>
  `-- migrate:up${options}\n${up}\n\n-- migrate:down\n${down}\n`

/** The tables of a schema, without the migrator's own and without partitions. */
export const tablesOf = (url: Redacted.Redacted, schema: string) =>
  Effect.map(
    query(
      url,
      `select relname from pg_class where relnamespace = $1::regnamespace and relkind in ('r', 'p') and relname !~ '^schema_'
       and not relispartition order by 1`,
      [schema]
    ),
    (rows) => rows.map(({ relname }) => String(relname))
  )

/** What `router.schema_event` says, in order. */
export const eventsOf = (url: Redacted.Redacted) =>
  Effect.map(query(url, "select event, slug from router.schema_event order by id"), (rows) =>
    rows.map(({ event, slug }) => (slug === null ? String(event) : `${event} ${slug}`))
  )

export const quiet = Logger.minimumLogLevel(LogLevel.None)

/** Brings the router's schema to `target`, from the files in `migrations`. */
export const migrateRouter = (
  url: Redacted.Redacted,
  migrations: string,
  target: Target = Target.Head(),
  options: Partial<MigratorOptionsValues> = {}
) =>
  Effect.flatMap(MigratorOptions, (defaults) =>
    migrate(router, target).pipe(
      Effect.provideService(MigratorOptions, { ...defaults, ...options }),
      Effect.provide([environment({ url, migrations, services: ["router"] }), quiet])
    )
  )

/** Creates and drops the table `a`; `b` also holds a row. */
export const tableA = revision("create table router.a (id int primary key);", "drop table router.a;")
export const tableB = revision(
  "create table router.b (id int);\ninsert into router.b values (1);",
  "drop table router.b;"
)
