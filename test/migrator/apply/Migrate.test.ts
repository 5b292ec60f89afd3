import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Target } from "../../../src/migrator/plan/Target.ts"
import {
  ask,
  eventsOf,
  migrateRouter,
  migrationsOf,
  revision,
  tableA,
  tableB,
  tablesOf,
  write
} from "../../support/migrator/Fixture.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const allowed = { allowDataLoss: true }
const base = Target.DownTo({ number: 0, slug: null })

describe("the migrator", () => {
  it.scopedLive("upgrades an empty database to head, and does nothing the second time", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA, "router/0002_b.sql": tableB })
      expect((yield* migrateRouter(url, migrations)).steps).toHaveLength(2)
      const history = yield* ask(url, "select * from router.schema_history order by position")
      expect(history).toMatchObject([
        { revision: 1, slug: "a", state: "applied", steps_done: 1, steps_total: 1, tool_version: 2 },
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
      expect((yield* migrateRouter(url, migrations)).steps).toHaveLength(0)
      expect(yield* ask(url, "select * from router.schema_history order by position")).toEqual(history)
      expect(yield* eventsOf(url)).toEqual(["prepared", "applied a", "applied b"])
    })
  )

  it.scopedLive("downgrades and upgrades again, by one step or all, and records events", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA, "router/0002_b.sql": tableB })
      yield* migrateRouter(url, migrations)
      expect((yield* migrateRouter(url, migrations, Target.Back({ count: 1 }), allowed)).to).toBe("0001_a")
      expect(yield* tablesOf(url, "router")).toEqual(["a"])
      expect((yield* migrateRouter(url, migrations, base)).to).toBe("base")
      expect(yield* tablesOf(url, "router")).toEqual([])
      expect(yield* ask(url, "select revision, name, applied_at from router.schema_version")).toEqual([
        { revision: 0, name: "base", applied_at: null }
      ])
      yield* migrateRouter(url, migrations)
      expect(yield* tablesOf(url, "router")).toEqual(["a", "b"])
      expect((yield* eventsOf(url)).slice(3)).toEqual(["reverted b", "reverted a", "applied a", "applied b"])
    })
  )

  it.scopedLive("reverts a revision whose file is missing with its stored script", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      yield* migrateRouter(url, yield* migrationsOf({ "router/0001_a.sql": tableA, "router/0002_b.sql": tableB }))
      yield* migrateRouter(
        url,
        yield* migrationsOf({ "router/0001_a.sql": tableA }),
        Target.DownTo({ number: 1, slug: null }),
        allowed
      )
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
        const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA, "router/0002_broken.sql": broken })
        const failure = yield* Effect.flip(migrateRouter(url, migrations))
        expect(failure).toMatchObject({
          _tag: "RevisionFailed",
          exitCode: 1,
          service: "router",
          revision: "0002_broken",
          location: {
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
        expect(yield* eventsOf(url)).toEqual(["prepared", "applied a", "failed broken"])
        yield* write(migrations, { "router/0002_broken.sql": revision("create table router.c (id int);") })
        expect((yield* migrateRouter(url, migrations)).to).toBe("0002_broken")
      })
  )

  it.scopedLive("fails with a typed error when COMMIT fails", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const deferred = revision(
        "create table router.d (id int, foreign key (id) references router.a deferrable initially deferred);\ninsert into router.d values (7);"
      )
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA, "router/0002_d.sql": deferred })
      expect(yield* Effect.flip(migrateRouter(url, migrations))).toMatchObject({
        _tag: "RevisionFailed",
        location: { statement: "commit" },
        cause: { phase: "commit", sqlstate: "23503" }
      })
      expect(yield* tablesOf(url, "router")).toEqual(["a"])
    })
  )

  it.scopedLive("fails an assertion that does not return true, and keeps it from writing", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const withVerify = (verify: string) => ({ "router/0001_a.sql": `${tableA}-- migrate:verify\n${verify}\n` })
      const migrations = yield* migrationsOf(withVerify("select count(*) = 1 from router.a;"))
      expect(yield* Effect.flip(migrateRouter(url, migrations))).toMatchObject({
        direction: "verify",
        cause: { sqlstate: "P0004" }
      })
      yield* write(migrations, withVerify("insert into router.a values (1) returning true;"))
      expect(yield* Effect.flip(migrateRouter(url, migrations))).toMatchObject({
        direction: "verify",
        cause: { sqlstate: "25006" }
      })
      for (const [verify, reason] of [
        ["select null::boolean;", "the assertion returned null"],
        ["select true from router.a;", "the assertion returned no row"],
        ["values (true), (false);", "the assertion returned false"],
        ["select 'true';", "the assertion returned a value other than true or false"],
        ["select 1 = 2, 1 = 1;", "two columns of the assertion have the same name; rename one"],
        // For a block the error has only its SQLSTATE.
        ["do $$ begin assert false; end $$;", ""]
      ] as const) {
        yield* write(migrations, withVerify(verify))
        const failure = yield* Effect.flip(migrateRouter(url, migrations))
        expect(failure.message).toContain(`${reason} (SQLSTATE P0004)`)
      }
      expect(yield* tablesOf(url, "router")).toEqual([])
      yield* write(
        migrations,
        withVerify("select count(*) = 0 from router.a;\nvalues (true), (true);\ndo $$ begin assert true; end $$;")
      )
      expect((yield* migrateRouter(url, migrations)).to).toBe("0001_a")
    })
  )

  it.scopedLive("refuses to run when the file of an applied revision was edited", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA })
      yield* migrateRouter(url, migrations)
      yield* write(migrations, { "router/0001_a.sql": tableA.replace("int", "bigint"), "router/0002_b.sql": tableB })
      const refusal = yield* Effect.flip(migrateRouter(url, migrations))
      expect(refusal).toMatchObject({ _tag: "ChecksumMismatch", exitCode: 4 })
      expect(refusal.message).toMatch(/0001_a\.sql \(migrate:up\)/)
      expect(yield* tablesOf(url, "router")).toEqual(["a"])
    })
  )

  it.scopedLive("refuses a schema that has tables but no history, and leaves it as it was", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA })
      yield* ask(url, "create schema router; create table router.history (id int)")
      const refusal = yield* Effect.flip(migrateRouter(url, migrations))
      expect(refusal).toMatchObject({ _tag: "SchemaNotEmpty", exitCode: 10, relations: ["history"] })
      expect(refusal.message).toContain("pnpm migrate --service router stamp")
      expect(yield* tablesOf(url, "router")).toEqual(["history"])
    })
  )

  it.scopedLive("parses the up, down and assertions of every pending revision before the first one runs", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const run = (second: string) =>
        Effect.gen(function* () {
          const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA, "router/0002_b.sql": second })
          return yield* Effect.flip(migrateRouter(url, migrations))
        })
      const cases = [
        [revision("select 'é';\nselec 1;"), 3, /syntax error at or near "selec"/],
        [revision("select 1;", "drp table router.t;"), 5, /syntax error at or near "drp"/],
        [`${revision("select 1;")}-- migrate:verify\nselec true;\n`, 7, /syntax error at or near "selec"/],
        [revision("update router.schema_history set slug = 'x';"), 2, /the migrator's own record/]
      ] as const
      for (const [second, line, problem] of cases) {
        const refusal = yield* run(second)
        expect(refusal).toMatchObject({ _tag: "RevisionSetInvalid", exitCode: 5, problems: [{ line }] })
        expect(refusal.message).toMatch(problem)
        expect(yield* ask(url, "select to_regnamespace('router') is null as untouched")).toEqual([{ untouched: true }])
      }
    })
  )

  it.scopedLive("refuses history tables of a newer format", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA })
      yield* migrateRouter(url, migrations)
      yield* ask(url, "insert into router.schema_event (event, app_version, tool_version) values ('prepared', '9', 9)")
      expect(yield* Effect.flip(migrateRouter(url, migrations, base))).toMatchObject({
        _tag: "HistoryFormatUnknown",
        exitCode: 8,
        format: 9
      })
      expect(yield* tablesOf(url, "router")).toEqual(["a"])
    })
  )

  it.scopedLive("lets no role change the event log, not even its owner", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      yield* migrateRouter(url, yield* migrationsOf({ "router/0001_a.sql": tableA }))
      for (const statement of [
        "update router.schema_event set event = 'failed'",
        "delete from router.schema_event",
        "truncate router.schema_event"
      ]) {
        expect((yield* Effect.flip(ask(url, statement))).sqlstate).toBe("42501")
      }
    })
  )

  it.scopedLive("resets what one revision set before the next, and resolves no unqualified name", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": revision(
          "set search_path = pg_catalog, router;\ncreate temp table scratch (id int);\nset role pg_read_all_data;\nreset role;"
        ),
        "router/0002_b.sql": revision("create table b (id int);")
      })
      expect(yield* Effect.flip(migrateRouter(url, migrations))).toMatchObject({
        revision: "0002_b",
        cause: { sqlstate: "3F000" }
      })
    })
  )
})
