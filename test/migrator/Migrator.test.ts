import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as Redacted from "effect/Redacted"
import { type ServiceName, serviceNames } from "../../src/domain/Service.ts"
import * as Migrator from "../../src/migrator/Migrator.ts"
import { Target } from "../../src/migrator/Plan.ts"
import { migrate } from "../../src/migrator/SchemaRun.ts"
import { SchemaVersion } from "../../src/migrator/SchemaVersion.ts"
import { freshDatabase } from "../support/TestDatabase.ts"
import { ask, environment, migrationsOf, revision, write } from "./support/Fixture.ts"

const base = Target.DownTo({ number: 0, slug: null })

const run = (url: Redacted.Redacted, migrations: string, target: Target = Target.Head()) =>
  migrate("router", target).pipe(Effect.provide(environment({ url, migrations, services: ["router"] })))

const events = (url: Redacted.Redacted) =>
  Effect.map(ask(url, "select event, slug from router.schema_event order by id"), (rows) =>
    rows.map(({ event, slug }) => `${event} ${slug}`)
  )

const tablesOf = (url: Redacted.Redacted, schema: string) =>
  Effect.map(
    ask(
      url,
      `select relname from pg_class where relnamespace = $1::regnamespace and relkind in ('r', 'p') and relname !~ '^schema_'
       and not relispartition order by 1`,
      [schema]
    ),
    (rows) => rows.map(({ relname }) => String(relname))
  )

const a = revision("create table router.a (id int primary key);", "drop table router.a;")
const b = revision("create table router.b (id int);\ninsert into router.b values (1);", "drop table router.b;")

describe("the migrator", () => {
  it.scopedLive("brings an empty database to head, and does nothing the second time", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({ "router/0001_a.sql": a, "router/0002_b.sql": b })
      expect((yield* run(url, migrations)).steps).toHaveLength(2)
      const history = yield* ask(url, "select * from router.schema_history order by position")
      expect(history).toMatchObject([
        { revision: 1, slug: "a", state: "applied", steps_done: 1, steps_total: 1, tool_version: 1 },
        {
          revision: 2,
          slug: "b",
          state: "applied",
          steps_done: 2,
          steps_total: 2,
          down_script: "-- migrate:down\ndrop table router.b;"
        }
      ])
      expect(yield* ask(url, "select revision, name from router.schema_version")).toEqual([
        { revision: 2, name: "0002_b" }
      ])
      expect((yield* run(url, migrations)).steps).toHaveLength(0)
      expect(yield* ask(url, "select * from router.schema_history order by position")).toEqual(history)
      expect(yield* events(url)).toEqual(["prepared null", "applied a", "applied b"])
    })
  )

  it.scopedLive("goes down and up again, one step or all, and says so in the events", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({ "router/0001_a.sql": a, "router/0002_b.sql": b })
      yield* run(url, migrations)
      expect((yield* run(url, migrations, Target.Back({ count: 1 }))).to).toBe("0001_a")
      expect(yield* tablesOf(url, "router")).toEqual(["a"])
      expect((yield* run(url, migrations, base)).to).toBe("base")
      expect(yield* tablesOf(url, "router")).toEqual([])
      expect(yield* ask(url, "select revision, name, applied_at from router.schema_version")).toEqual([
        { revision: 0, name: "base", applied_at: null }
      ])
      yield* run(url, migrations)
      expect(yield* tablesOf(url, "router")).toEqual(["a", "b"])
      expect((yield* events(url)).slice(3)).toEqual(["reverted b", "reverted a", "applied a", "applied b"])
    })
  )

  it.scopedLive("reverts a revision whose file is gone, by the script that was stored with it", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      yield* run(url, yield* migrationsOf({ "router/0001_a.sql": a, "router/0002_b.sql": b }))
      yield* run(url, yield* migrationsOf({ "router/0001_a.sql": a }), Target.DownTo({ number: 1, slug: null }))
      expect(yield* tablesOf(url, "router")).toEqual(["a"])
    })
  )

  it.scopedLive(
    "keeps the earlier revisions when one fails, rolls that one back, and names file, line, statement and SQLSTATE",
    () =>
      Effect.gen(function* () {
        const url = yield* freshDatabase
        const broken = revision(
          "create table router.c (id int);\n\ninsert into router.c\n  select missing from router.a;"
        )
        const migrations = yield* migrationsOf({ "router/0001_a.sql": a, "router/0002_broken.sql": broken })
        const failure = yield* Effect.flip(run(url, migrations))
        expect(failure).toMatchObject({
          _tag: "RevisionFailed",
          exitCode: 1,
          service: "router",
          revision: "0002_broken",
          place: {
            line: 5,
            column: 10,
            source: "  select missing from router.a",
            statement: expect.stringMatching(/^insert into router\.c/)
          },
          cause: { sqlstate: "42703" }
        })
        expect(failure.message).toMatch(/router: revision 0002_broken .*0002_broken\.sql:5:10.*SQLSTATE 42703/)
        expect(failure.message).toContain("router stays at 0001_a")
        expect(yield* tablesOf(url, "router")).toEqual(["a"])
        expect(yield* events(url)).toEqual(["prepared null", "applied a", "failed broken"])
        yield* write(migrations, { "router/0002_broken.sql": revision("create table router.c (id int);") })
        expect((yield* run(url, migrations)).to).toBe("0002_broken")
      })
  )

  it.scopedLive("reports a syntax error like any other failure of a revision", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": a,
        "router/0002_b.sql": revision("select 'é';\ncrate table x;")
      })
      expect(yield* Effect.flip(run(url, migrations))).toMatchObject({
        _tag: "RevisionFailed",
        place: { line: 3, column: 1 },
        cause: { sqlstate: "42601" }
      })
      expect(yield* events(url)).toEqual(["prepared null", "applied a", "failed b"])
    })
  )

  it.scopedLive("gives a typed failure for an error at COMMIT", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const deferred = revision(
        "create table router.d (id int, foreign key (id) references router.a deferrable initially deferred);\ninsert into router.d values (7);"
      )
      const migrations = yield* migrationsOf({ "router/0001_a.sql": a, "router/0002_d.sql": deferred })
      expect(yield* Effect.flip(run(url, migrations))).toMatchObject({
        _tag: "RevisionFailed",
        place: { statement: "commit" },
        cause: { phase: "commit", sqlstate: "23503" }
      })
      expect(yield* tablesOf(url, "router")).toEqual(["a"])
    })
  )

  it.scopedLive("holds an assertion to be failed when it answers false, and keeps it from writing", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const withVerify = (verify: string) => ({ "router/0001_a.sql": `${a}-- migrate:verify\n${verify}\n` })
      const migrations = yield* migrationsOf(withVerify("select count(*) = 1 from router.a;"))
      expect(yield* Effect.flip(run(url, migrations))).toMatchObject({
        direction: "verify",
        cause: { sqlstate: "P0004" }
      })
      yield* write(migrations, withVerify("insert into router.a values (1) returning true;"))
      expect(yield* Effect.flip(run(url, migrations))).toMatchObject({
        direction: "verify",
        cause: { sqlstate: "25006" }
      })
      expect(yield* tablesOf(url, "router")).toEqual([])
      yield* write(migrations, withVerify("select count(*) = 0 from router.a;"))
      expect((yield* run(url, migrations)).to).toBe("0001_a")
    })
  )

  it.scopedLive("refuses to run when the file of an applied revision was edited", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({ "router/0001_a.sql": a })
      yield* run(url, migrations)
      yield* write(migrations, { "router/0001_a.sql": a.replace("int", "bigint"), "router/0002_b.sql": b })
      const refusal = yield* Effect.flip(run(url, migrations))
      expect(refusal).toMatchObject({ _tag: "ChecksumMismatch", exitCode: 4 })
      expect(refusal.message).toMatch(/0001_a\.sql \(migrate:up\)/)
      expect(yield* tablesOf(url, "router")).toEqual(["a"])
    })
  )

  it.scopedLive("refuses a schema that has tables but no history, and leaves it as it was", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({ "router/0001_a.sql": a })
      yield* ask(url, "create schema router; create table router.history (id int)")
      const refusal = yield* Effect.flip(run(url, migrations))
      expect(refusal).toMatchObject({ _tag: "SchemaNotEmpty", exitCode: 10, relations: ["history"] })
      expect(refusal.message).toContain("baseline")
      expect(yield* tablesOf(url, "router")).toEqual(["history"])
    })
  )

  it.scopedLive("lets nobody, not even the owner, change what the event log says", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      yield* run(url, yield* migrationsOf({ "router/0001_a.sql": a }))
      for (const statement of [
        "update router.schema_event set event = 'failed'",
        "delete from router.schema_event",
        "truncate router.schema_event"
      ]) {
        expect((yield* Effect.flip(ask(url, statement))).sqlstate).toBe("42501")
      }
    })
  )

  it.scopedLive("leaves nothing that one revision set for the next, and resolves no unqualified name", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": revision(
          "set search_path = pg_catalog, router;\ncreate temp table scratch (id int);\nset role pg_read_all_data;\nreset role;"
        ),
        "router/0002_b.sql": revision("create table b (id int);")
      })
      expect(yield* Effect.flip(run(url, migrations))).toMatchObject({
        revision: "0002_b",
        cause: { sqlstate: "3F000" }
      })
    })
  )
})

describe("the layer of a service", () => {
  const all = (url: Redacted.Redacted, services: ReadonlyArray<ServiceName>, migrationUrl = url) => {
    const layers = {
      gatekeeper: Migrator.layer("gatekeeper"),
      guardian: Migrator.layer("guardian"),
      router: Migrator.layer("router")
    }
    return Effect.scoped(
      Effect.forEach(services, (service) => Layer.build(Layer.discard(layers[service]))).pipe(
        Effect.provide(environment({ url, migrationUrl, services }))
      )
    )
  }
  const expected = {
    gatekeeper: ["audit_dead_letter", "audit_log", "audit_source", "audit_trail"],
    guardian: ["agent_badges", "certificate", "session"],
    router: ["history"]
  }

  it.scopedLive.each([
    [...serviceNames],
    [...serviceNames].reverse(),
    ["guardian", "gatekeeper", "router"] as const,
    ["gatekeeper"] as const,
    ["guardian"] as const,
    ["router"] as const
  ])("gives each service on one database its own tables and its own history (%s, %s, %s)", (services) =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      yield* all(url, services)
      for (const service of services) {
        expect(yield* tablesOf(url, service)).toEqual(expected[service])
        expect(yield* ask(url, `select revision from ${service}.schema_version`)).toEqual([{ revision: 1 }])
      }
      const schemas = yield* ask(url, "select nspname from pg_namespace where nspname = any($1)", [[...serviceNames]])
      expect(schemas).toHaveLength(services.length)
    })
  )

  it.scopedLive("says which revision the schema has, word for word, and lets the service ask again", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => lines.push(String(message)))
      const version = yield* SchemaVersion.gatekeeper.pipe(
        Effect.flatMap(({ actual, expected, head, service }) =>
          Effect.map(actual, (actual) => ({ actual, expected, head, service }))
        ),
        Effect.provide(
          Migrator.layer("gatekeeper").pipe(Layer.provide(environment({ url, services: ["gatekeeper"] })))
        ),
        Effect.provide(Logger.replace(Logger.defaultLogger, logger))
      )
      const head = "0001_audit_trail"
      expect(version).toEqual({ actual: head, expected: head, head, service: "gatekeeper" })
      expect(lines).toContain(`Gatekeeper schema versioned at revision ${head} (head)`)
    })
  )

  it.scopedLive(
    "starts with a warning on a schema that a newer program expanded, and refuses one that it contracted",
    () =>
      Effect.gen(function* () {
        const url = yield* freshDatabase
        const newer = yield* migrationsOf({ "router/0001_a.sql": a, "router/0002_b.sql": b })
        const older = yield* migrationsOf({ "router/0001_a.sql": a })
        const start = (migrations: string) =>
          Layer.build(Layer.discard(Migrator.layer("router"))).pipe(
            Effect.scoped,
            Effect.provide(environment({ url, migrations, services: ["router"] }))
          )
        yield* start(newer)
        yield* start(older)
        yield* write(newer, {
          "router/0003_c.sql": revision("alter table router.b drop id;", "select 1;", " phase:contract")
        })
        yield* start(newer)
        const refusal = yield* Effect.flip(start(older))
        expect(refusal).toMatchObject({ _tag: "DatabaseAhead", exitCode: 8, contract: ["0003_c"] })
      })
  )

  it.scopedLive("refuses an application connection that sees another database than the one that was migrated", () =>
    Effect.gen(function* () {
      const [url, migrationUrl] = [yield* freshDatabase, yield* freshDatabase]
      const absent = yield* Effect.flip(all(url, ["guardian"], migrationUrl))
      expect(absent).toMatchObject({ _tag: "SchemaUnreadable", exitCode: 9 })
      expect(absent.message).toContain("points at another database")
      // Now both are at head, each by itself: equal numbers must not hide it.
      yield* all(url, ["guardian"])
      const other = yield* Effect.flip(all(url, ["guardian"], migrationUrl))
      expect(other).toMatchObject({ _tag: "SchemaElsewhere", exitCode: 9 })
    })
  )
})
