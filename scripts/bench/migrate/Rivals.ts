import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as PgMigrator from "@effect/sql-pg/PgMigrator"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { runner } from "node-pg-migrate"
import Pg from "pg"
import Postgrator from "postgrator"
import { Umzug } from "umzug"
import { serviceNames } from "../../../src/domain/Service.ts"
import { migrate } from "../../../src/migrator/apply/Migrate.ts"
import { Target } from "../../../src/migrator/plan/Target.ts"
import { environment } from "../../../test/support/migrator/Fixture.ts"
import { router } from "../../../test/support/migrator/Services.ts"

export const revisions = 100

/** Milliseconds of `effect`. */
export const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.timed(effect), ([took]) => Duration.toMillis(took))

const statementsOf = (schema: string, number: number): ReadonlyArray<string> => [
  `create table ${schema}.t${number} (id bigint primary key, name text not null, at timestamptz not null default now())`,
  `create index t${number}_name on ${schema}.t${number} (name)`
]

const name = (number: number): string => `${String(number).padStart(4, "0")}_t${number}`

const numbers = Array.from({ length: revisions }, (_, index) => index + 1)

/** The same statements as files of ours, of node-pg-migrate and of postgrator. */
export const files = Effect.acquireRelease(
  Effect.promise(async () => {
    const root = await mkdtemp(join(tmpdir(), "gravitas-bench-migrations-"))
    const [ours, theirs, postgrators] = [join(root, "ours"), join(root, "theirs"), join(root, "postgrators")]
    for (const service of serviceNames) await mkdir(join(ours, service), { recursive: true })
    await mkdir(theirs)
    await mkdir(postgrators)
    for (const number of numbers) {
      const up = statementsOf("router", number).join(";\n")
      const down = `drop table router.t${number}`
      const file = `${name(number)}.sql`
      await writeFile(join(ours, "router", file), `-- migrate:up\n${up};\n\n-- migrate:down\n${down};\n`)
      await writeFile(join(theirs, file), `-- Up Migration\n${up};\n\n-- Down Migration\n${down};\n`)
      await writeFile(join(postgrators, `${number}.do.t${number}.sql`), `${up};\n`)
    }
    return { root, ours, theirs, postgrators }
  }),
  ({ root }) => Effect.promise(() => rm(root, { recursive: true, force: true }))
)

export const withGravitas = (url: Redacted.Redacted, migrations: string) =>
  timed(migrate(router, Target.Head())).pipe(
    Effect.provide(environment({ url, migrations, services: ["router"] })),
    Effect.orDie
  )

export const withEffectSql = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    yield* sql`create schema router`
    const loader = Effect.succeed(
      numbers.map(
        (number): PgMigrator.ResolvedMigration => [
          number,
          name(number),
          Effect.succeed(
            Effect.forEach(statementsOf("router", number), (statement) => sql.unsafe(statement), { discard: true })
          )
        ]
      )
    )
    return yield* timed(PgMigrator.run({ loader }))
  }).pipe(Effect.provide(PgClient.layer({ url })), Effect.provide(NodeContext.layer), Effect.orDie)

export const withNodePgMigrate = (url: Redacted.Redacted, dir: string, singleTransaction: boolean) =>
  timed(
    Effect.promise(() =>
      runner({
        databaseUrl: Redacted.value(url),
        dir,
        direction: "up",
        migrationsTable: "pgmigrations",
        createSchema: true,
        schema: "router",
        singleTransaction,
        log: () => {}
      })
    )
  )

/** One session, opened before the clock starts, in which the schema exists. */
const withSession = (url: Redacted.Redacted, run: (client: Pg.Client) => Promise<unknown>) =>
  Effect.gen(function* () {
    const client = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const client = new Pg.Client({ connectionString: Redacted.value(url) })
        await client.connect()
        await client.query("create schema router")
        return client
      }),
      (client) => Effect.promise(() => client.end())
    )
    return yield* timed(Effect.promise(() => run(client)))
  }).pipe(Effect.scoped)

/** umzug asks for a storage of one's own: this is the least, a table and an INSERT for each. */
export const withUmzug = (url: Redacted.Redacted) =>
  withSession(url, async (client) => {
    await client.query("create table router.umzug (name text primary key)")
    const umzug = new Umzug({
      migrations: numbers.map((number) => ({
        name: name(number),
        up: () => client.query(statementsOf("router", number).join(";\n"))
      })),
      storage: {
        logMigration: async ({ name }) => {
          await client.query("insert into router.umzug (name) values ($1)", [name])
        },
        unlogMigration: async ({ name }) => {
          await client.query("delete from router.umzug where name = $1", [name])
        },
        executed: async () =>
          (await client.query("select name from router.umzug order by name")).rows.map(({ name }) => name)
      },
      logger: undefined
    })
    return umzug.up()
  })

export const withPostgrator = (url: Redacted.Redacted, directory: string) =>
  withSession(url, (client) => {
    const postgrator = new Postgrator({
      driver: "pg",
      migrationPattern: join(directory, "*"),
      schemaTable: "router.schemaversion",
      execQuery: (query) => client.query(query)
    })
    return postgrator.migrate()
  })

/** Tables that the revisions made: each peer must have made all. */
export const tablesIn = (url: Redacted.Redacted) =>
  Effect.promise(async () => {
    const client = new Pg.Client({ connectionString: Redacted.value(url) })
    await client.connect()
    try {
      const query =
        "select count(*)::integer as tables from pg_tables where schemaname = 'router' and tablename ~ '^t[0-9]+$'"
      return Number((await client.query(query)).rows[0]?.tables)
    } finally {
      await client.end()
    }
  })
