import Fs from "node:fs"
import { basename } from "node:path"
import { describe, expect, it, vi } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import type { ServiceName } from "../../src/domain/Service.ts"
import { gatekeeperSchema } from "../../src/gatekeeper/GatekeeperSchema.ts"
import { guardianSchema } from "../../src/guardian/GuardianSchema.ts"
import { loadRevisionSet } from "../../src/migrator/files/RevisionSet.ts"
import { contractionsAfter, schemaProbe } from "../../src/migrator/SchemaVersion.ts"
import { Database } from "../../src/platform/postgres/Database.ts"
import { routerSchema } from "../../src/router/RouterSchema.ts"
import { countingRelay } from "../support/migrator/CountingRelay.ts"
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

/** Starts the router up to the point where its port would open; returns what its probes would report, and its log. */
const startRouter = (mode: "upgrade" | "verify" | "off", url: Redacted.Redacted, migrations: string) => {
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => lines.push(`${logLevel.label} ${String(message)}`))
  return Effect.gen(function* () {
    const { expected, head } = yield* routerSchema.version
    const { databaseAnswers, schema, schemaStands } = yield* yield* schemaProbe(yield* routerSchema.version)
    return { expected, head, databaseAnswers, actual: schema.actual, schemaStands, lines }
  }).pipe(
    Effect.provide(
      routerSchema.layer.pipe(
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
  it.scopedLive("continues with a warning in modes upgrade and verify, and leaves the half-way revision as it is", () =>
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
  it.scopedLive("refuses an empty database with exit 3 and the command to run, and creates nothing in it", () =>
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
        // A service that was started before sees the same.
        const context = yield* Layer.build(environment({ url, migrations: older, services: ["router"] }))
        const pool = Context.get(context, Database).pool("router")
        expect(yield* contractionsAfter("router", pool, "0002_b")).toEqual(["0003_c"])
        expect(yield* contractionsAfter("router", pool, "0003_c")).toEqual([])
      })
  )
})

describe("a start with MIGRATE_ON_START=off", () => {
  it.scopedLive("applies nothing, logs the current revision, and is not ready while that is behind or unreadable", () =>
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

describe("a start that applies revisions", () => {
  it.scopedLive("reads each file once, and the history once before the lock and once under it", () =>
    Effect.gen(function* () {
      const relay = yield* countingRelay(yield* freshDatabase)
      const migrations = yield* migrationsOf(one)
      const reading = yield* Effect.acquireRelease(
        Effect.sync(() => vi.spyOn(Fs, "readFileSync")),
        (spy) => Effect.sync(() => spy.mockRestore())
      )
      const filesRead = () => {
        const read = reading.mock.calls.map(([path]) => String(path)).filter((path) => path.startsWith(migrations))
        reading.mockClear()
        return read.map((path) => basename(path))
      }
      const start = Layer.build(routerSchema.layer).pipe(
        Effect.scoped,
        Effect.provide([environment({ url: relay.url, migrations, services: ["router"] }), quiet])
      )
      const reads = (effect: typeof start) =>
        Effect.map(effect, () => ({
          files: filesRead(),
          history: relay.count("from router.schema_event where event = 'prepared'")
        }))

      expect(yield* reads(start)).toEqual({ files: ["0001_a.sql"], history: 2 })
      expect(yield* reads(start)).toEqual({ files: ["0001_a.sql"], history: 1 })
      yield* write(migrations, two)
      expect(yield* reads(start)).toEqual({ files: ["0001_a.sql", "0002_b.sql"], history: 2 })
    })
  )
})

describe("a start at head", () => {
  it.scopedLive(
    "asks the database once, in modes upgrade and verify, if the migration connection is the application's",
    () =>
      Effect.gen(function* () {
        const relay = yield* countingRelay(yield* freshDatabase)
        const migrations = yield* migrationsOf(one)
        yield* migrateRouter(relay.url, migrations)
        for (const [mode, queries] of [
          ["upgrade", 1],
          // It also asks which privileges the role lacks.
          ["verify", 2]
        ] as const) {
          const variables = { MIGRATE_ON_START: mode }
          const context = yield* Layer.build(
            Layer.merge(environment({ url: relay.url, migrations, services: ["router"], variables }), quiet)
          )
          relay.queries()
          yield* Layer.build(routerSchema.layer).pipe(Effect.provide(context))
          expect({ mode, queries: relay.queries() }).toEqual({ mode, queries })
        }
      })
  )

  const services = ["gatekeeper", "guardian", "router"] as const
  const migrated = Layer.mergeAll(
    Layer.discard(gatekeeperSchema.layer),
    Layer.discard(guardianSchema.layer),
    Layer.discard(routerSchema.layer)
  )
  const revisionsOf = (name: ServiceName) =>
    Effect.map(loadRevisionSet({ name, directory: name }), ({ revisions }) => revisions.length)
  const sessionsOf = (url: Redacted.Redacted) =>
    ask(
      url,
      `select application_name as name from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
       and application_name in ('gravitas', 'gravitas start')`
    )

  it.scopedLive("asks the database once for all services that start together, in the session that waited for it", () =>
    Effect.gen(function* () {
      const relay = yield* countingRelay(yield* freshDatabase)
      const prepared = environment({ url: relay.url, services })
      yield* Effect.scoped(Effect.provide(Layer.build(migrated), [prepared, quiet]))
      const context = yield* Layer.build(Layer.merge(prepared, quiet))
      relay.queries()
      yield* Layer.build(migrated).pipe(Effect.provide(context))
      expect(relay.queries()).toBe(1)
      expect(yield* sessionsOf(relay.url)).toEqual([{ name: "gravitas" }])
    })
  )

  it.scopedLive("reads the services that are at head, also if the schema of another is missing", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const two = Layer.merge(Layer.discard(gatekeeperSchema.layer), Layer.discard(routerSchema.layer))
      yield* Effect.scoped(Effect.provide(Layer.build(two), [environment({ url, services }), quiet]))
      const context = yield* Layer.build(Layer.merge(environment({ url, services }), quiet))
      yield* Layer.build(migrated).pipe(Effect.provide(context))
      const schemas = ["gatekeeper", "guardian", "router"]
      const events = schemas.map((schema) => `select '${schema}' as schema, count(*)::int from ${schema}.schema_event`)
      expect(yield* ask(url, `${events.join(" union all ")} order by 1`)).toEqual([
        { schema: "gatekeeper", count: 1 + (yield* revisionsOf("gatekeeper")) },
        { schema: "guardian", count: 1 + (yield* revisionsOf("guardian")) },
        { schema: "router", count: 1 + (yield* revisionsOf("router")) }
      ])
    })
  )

  it.scopedLive("opens only the application's sessions if the migration connection is the same", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      yield* Effect.scoped(Effect.provide(Layer.build(migrated), [environment({ url, services }), quiet]))
      const context = yield* Layer.build(Layer.merge(environment({ url, services }), quiet))
      yield* Layer.build(migrated).pipe(Effect.provide(context))
      expect(new Set((yield* sessionsOf(url)).map(({ name }) => name))).toEqual(new Set(["gravitas"]))
    })
  )

  it.scopedLive("opens one more session for all services that share another migration connection", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrationUrl = Redacted.make(`${Redacted.value(url)}?options=-c%20work_mem%3D8MB`)
      const context = yield* Layer.build(Layer.merge(environment({ url, migrationUrl, services }), quiet))
      yield* Layer.build(migrated).pipe(Effect.provide(context))
      expect((yield* sessionsOf(url)).filter(({ name }) => name === "gravitas start")).toHaveLength(1)
    })
  )
})
