import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import * as Migrator from "../../src/migrator/Migrator.ts"
import { schemaProbe } from "../../src/migrator/SchemaProbe.ts"
import { SchemaVersion } from "../../src/migrator/SchemaVersion.ts"
import {
  ask,
  environment,
  migrateRouter,
  migrationsOf,
  quiet,
  revision,
  tableA,
  tableB,
  write
} from "../support/migrator/Fixture.ts"
import { freshDatabase } from "../support/TestDatabase.ts"

/** Starts the router as far as its port; answers what its probes would say, and what it logged. */
const startRouter = (mode: "upgrade" | "verify" | "off", url: Redacted.Redacted, migrations: string) => {
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => lines.push(`${logLevel.label} ${String(message)}`))
  return Effect.gen(function* () {
    const { expected, head } = yield* SchemaVersion.router
    const { databaseAnswers, schema, schemaStands } = yield* yield* schemaProbe(yield* SchemaVersion.router)
    return { expected, head, databaseAnswers, actual: schema.actual, schemaStands, lines }
  }).pipe(
    Effect.provide(
      Migrator.layer("router").pipe(
        Layer.provide(environment({ url, migrations, services: ["router"], variables: { MIGRATE_ON_START: mode } }))
      )
    ),
    Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
    Logger.withMinimumLogLevel(LogLevel.Info)
  )
}

const one = { "router/0001_a.sql": tableA }
const two = { ...one, "router/0002_b.sql": tableB }

describe("a start while a newer version expands the schema", () => {
  it.scopedLive("goes on, with a warning, whether it may apply revisions or only verify; what is cut off stays", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const newer = revision("create table router.c ();\nselect 1 / 0;", "select 1;", " transaction:false")
      yield* Effect.flip(migrateRouter(url, yield* migrationsOf({ ...two, "router/0003_c.sql": newer })))
      const migrations = yield* migrationsOf(two)
      for (const mode of ["upgrade", "verify"] as const) {
        const seen = yield* startRouter(mode, url, migrations)
        expect(seen).toMatchObject({ expected: "0002_b", actual: "0002_b", schemaStands: true })
        expect(seen.lines.join("\n")).toContain("WARN Router runs on a schema ahead of it: 0003_c only expand it")
      }
      expect(yield* ask(url, "select state from router.schema_history where revision = 3")).toEqual([
        { state: "applying" }
      ])
    })
  )
})

describe("a start with MIGRATE_ON_START=verify", () => {
  it.scopedLive("refuses an empty database with exit 3 and the command to type, and makes nothing in it", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const refusal = yield* Effect.flip(startRouter("verify", url, yield* migrationsOf(two)))
      expect(refusal).toMatchObject({ _tag: "SchemaNotAtHead", exitCode: 3, current: "base", pending: 2 })
      expect(refusal.message).toContain("pnpm migrate --service router upgrade")
      expect(yield* ask(url, "select from pg_namespace where nspname = 'router'")).toEqual([])
    })
  )

  it.scopedLive("refuses while a revision is pending, and starts without a lock or a write once it is applied", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf(one)
      yield* migrateRouter(url, migrations)
      yield* write(migrations, two)
      const refusal = yield* Effect.flip(startRouter("verify", url, migrations))
      expect(refusal).toMatchObject({ exitCode: 3, current: "0001_a", head: "0002_b", pending: 1 })
      yield* migrateRouter(url, migrations)
      const events = yield* ask(url, "select id from router.schema_event")
      const seen = yield* startRouter("verify", url, migrations)
      expect(seen).toMatchObject({ expected: "0002_b", actual: "0002_b", schemaStands: true })
      expect(seen.lines).toContain("INFO Router schema versioned at revision 0002_b (head)")
      expect(yield* ask(url, "select id from router.schema_event")).toEqual(events)
    })
  )

  it.scopedLive(
    "warns and starts on a schema that was expanded past it, and refuses a contracted or an edited one",
    () =>
      Effect.gen(function* () {
        const url = yield* freshDatabase
        const newer = yield* migrationsOf(two)
        const older = yield* migrationsOf(one)
        yield* migrateRouter(url, newer)
        const seen = yield* startRouter("verify", url, older)
        expect(seen).toMatchObject({ head: "0001_a", expected: "0002_b", actual: "0002_b", schemaStands: true })
        expect(seen.lines.join("\n")).toContain("WARN Router runs on a schema ahead of it: 0002_b only expand it")
        const edited = yield* migrationsOf({ ...two, "router/0001_a.sql": tableA.replace("key", "key check (id > 0)") })
        expect(yield* Effect.flip(startRouter("verify", url, edited))).toMatchObject({ exitCode: 4 })
        yield* write(newer, {
          "router/0003_c.sql": revision("alter table router.b drop id;", "select 1;", " phase:contract")
        })
        yield* migrateRouter(url, newer)
        expect(yield* Effect.flip(startRouter("verify", url, older))).toMatchObject({
          exitCode: 8,
          contract: ["0003_c"]
        })
      })
  )
})

describe("a start with MIGRATE_ON_START=off", () => {
  it.scopedLive(
    "applies nothing, says what it stands on, and is not ready while that is behind or cannot be read",
    () =>
      Effect.gen(function* () {
        const url = yield* freshDatabase
        const migrations = yield* migrationsOf(one)
        const none = yield* startRouter("off", url, migrations)
        expect(none).toMatchObject({ expected: "0001_a", actual: null, databaseAnswers: true, schemaStands: false })
        expect(none.lines.join("\n")).toMatch(/WARN Router schema cannot be read.*expects 0001_a.*off checked nothing/)
        expect(yield* ask(url, "select from pg_namespace where nspname = 'router'")).toEqual([])

        yield* migrateRouter(url, migrations)
        yield* write(migrations, two)
        const behind = yield* startRouter("off", url, migrations)
        expect(behind).toMatchObject({ expected: "0002_b", actual: "0001_a", schemaStands: false })
        expect(behind.lines.join("\n")).toContain("WARN Router schema is at 0001_a; this program expects 0002_b")

        yield* migrateRouter(url, migrations)
        expect(yield* startRouter("off", url, migrations)).toMatchObject({ actual: "0002_b", schemaStands: true })
      })
  )
})

describe("a start at head", () => {
  const services = ["gatekeeper", "guardian", "router"] as const
  const migrated = Layer.mergeAll(
    Layer.discard(Migrator.layer("gatekeeper")),
    Layer.discard(Migrator.layer("guardian")),
    Layer.discard(Migrator.layer("router"))
  )
  const sessionsOf = (url: Redacted.Redacted) =>
    ask(
      url,
      `select application_name as name from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
       and application_name in ('gravitas', 'gravitas start')`
    )

  it.scopedLive("opens no session but the application's own where the migration connection is the same", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      yield* Effect.scoped(Effect.provide(Layer.build(migrated), [environment({ url, services }), quiet]))
      const context = yield* Layer.build(Layer.merge(environment({ url, services }), quiet))
      yield* Layer.build(migrated).pipe(Effect.provide(context))
      expect(new Set((yield* sessionsOf(url)).map(({ name }) => name))).toEqual(new Set(["gravitas"]))
    })
  )

  it.scopedLive("opens one more for all services that share another migration connection", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrationUrl = Redacted.make(`${Redacted.value(url)}?options=-c%20work_mem%3D8MB`)
      const context = yield* Layer.build(Layer.merge(environment({ url, migrationUrl, services }), quiet))
      yield* Layer.build(migrated).pipe(Effect.provide(context))
      expect((yield* sessionsOf(url)).filter(({ name }) => name === "gravitas start")).toHaveLength(1)
    })
  )
})
