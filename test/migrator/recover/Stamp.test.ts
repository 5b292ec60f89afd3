import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { serviceNames } from "../../../src/domain/Service.ts"
import { migrate } from "../../../src/migrator/apply/Migrate.ts"
import { Target } from "../../../src/migrator/plan/Target.ts"
import { type StampTarget, stamp } from "../../../src/migrator/recover/Stamp.ts"
import {
  ask,
  environment,
  eventsOf,
  migrateRouter,
  migrationsOf,
  quiet,
  revision,
  tableA,
  tablesOf,
  write
} from "../../support/migrator/Fixture.ts"
import { onRouter } from "../../support/migrator/OnRouter.ts"
import { router, servicesByName } from "../../support/migrator/Services.ts"
import { shippedRevisions } from "../../support/migrator/Shipped.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const upTo = (number: number, slug: string | null = null): StampTarget => Target.UpTo({ number, slug })
const three = {
  "router/0001_a.sql": tableA,
  "router/0002_b.sql": `${revision("create table router.b ();", "drop table router.b;")}-- migrate:verify\nselect to_regclass('router.b') is not null;\n`,
  "router/0003_c.sql": revision("create table router.c ();", "drop table router.c;")
}

describe("stamp", { timeout: 60_000 }, () => {
  it.scopedLive("adopts a database that has the tables and no history, without running anything", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf(three)
      yield* ask(url, "create schema router; create table router.a (id int primary key); create table router.b ()")
      expect(yield* Effect.flip(migrateRouter(url, migrations))).toMatchObject({ _tag: "SchemaNotEmpty", exitCode: 10 })
      expect(yield* stamp(router, upTo(2, "b"), "taken over").pipe(onRouter(url, migrations))).toEqual({
        service: "router",
        from: "base",
        to: "0002_b",
        revisions: ["0001_a", "0002_b"],
        differences: []
      })
      expect(
        yield* ask(url, "select event, slug, reason from router.schema_event where event = 'stamped' order by id")
      ).toEqual([
        { event: "stamped", slug: "a", reason: "taken over" },
        { event: "stamped", slug: "b", reason: "taken over" }
      ])
      // From here it is a history like any other: upgrades continue, and stored scripts downgrade to base.
      expect((yield* migrateRouter(url, migrations)).steps).toHaveLength(1)
      const base = Target.DownTo({ number: 0, slug: null })
      yield* migrateRouter(url, migrations, base)
      expect(yield* tablesOf(url, "router")).toEqual([])
    })
  )

  it.scopedLive("refuses if the revision's assertions do not hold, and records no stamp", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf(three)
      yield* ask(url, "create schema router; create table router.a (id int primary key)")
      const failure = yield* Effect.flip(stamp(router, upTo(2), "hopeful").pipe(onRouter(url, migrations)))
      expect(failure).toMatchObject({ _tag: "RevisionFailed", direction: "verify" })
      expect(failure.message).toContain("so nothing was stamped")
      // No history was made, so that an upgrade still refuses the tables.
      expect(yield* Effect.flip(migrateRouter(url, migrations))).toMatchObject({ _tag: "SchemaNotEmpty" })
    })
  )

  it.scopedLive("does nothing if the history is already at the target, and refuses if it is past it or different", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf(three)
      yield* migrateRouter(url, migrations, Target.UpTo({ number: 2, slug: null }))
      const to = (target: StampTarget) => stamp(router, target, "again").pipe(onRouter(url, migrations))
      expect((yield* to(upTo(2))).revisions).toEqual([])
      const past = yield* Effect.flip(to(upTo(1)))
      expect(past).toMatchObject({ _tag: "StampRefused", exitCode: 10 })
      expect(past.message).toContain("downgrade 0001_a")
      expect(yield* Effect.flip(to(upTo(4)))).toMatchObject({ _tag: "RevisionUnknown" })
      expect(yield* Effect.flip(to(upTo(3, "other")))).toMatchObject({ _tag: "RevisionUnknown" })
      yield* write(migrations, { "router/0001_a.sql": tableA.replace("int", "bigint") })
      expect(yield* Effect.flip(to(Target.Head()))).toMatchObject({ _tag: "ChecksumMismatch" })
      expect(yield* eventsOf(url)).toEqual(["prepared", "applied a", "applied b"])
    })
  )

  it.scopedLive("refuses an empty schema, which a later upgrade creates as usual", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA })
      const refusal = yield* Effect.flip(stamp(router, Target.Head(), "hopeful").pipe(onRouter(url, migrations)))
      expect(refusal).toMatchObject({ _tag: "SchemaEmpty", exitCode: 10 })
      expect(refusal.message).toContain("pnpm migrate --service router upgrade")
      expect((yield* migrateRouter(url, migrations)).to).toBe("0001_a")
      expect(yield* tablesOf(url, "router")).toEqual(["a"])
    })
  )

  it.scopedLive("runs the assertions of every revision that it records, not only the target's", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf(three)
      yield* ask(url, "create schema router; create table router.a (id int primary key); create table router.c ()")
      const failure = yield* Effect.flip(stamp(router, Target.Head(), "hopeful").pipe(onRouter(url, migrations)))
      expect(failure).toMatchObject({ _tag: "RevisionFailed", direction: "verify" })
      expect(failure.message).toContain("0002_b.sql")
      expect(yield* Effect.flip(migrateRouter(url, migrations))).toMatchObject({ _tag: "SchemaNotEmpty" })
    })
  )

  for (const service of serviceNames) {
    it.scopedLive(
      `runs the assertions of the shipped revisions of the ${service}, each of which checks its own objects`,
      () =>
        Effect.gen(function* () {
          const url = yield* freshDatabase
          const own = Effect.provide([environment({ url }), quiet])
          yield* migrate(servicesByName[service], Target.Head()).pipe(own)
          // The history is lost; the tables are not.
          yield* ask(url, `delete from ${service}.schema_history`)
          const adopt = stamp(servicesByName[service], Target.Head(), "lost").pipe(own)
          expect((yield* adopt).revisions).toEqual(shippedRevisions(service))
          yield* ask(url, `delete from ${service}.schema_history; drop function ${service}.missing_grants`)
          expect(yield* Effect.flip(adopt)).toMatchObject({ _tag: "RevisionFailed", direction: "verify" })
          yield* ask(url, `drop schema ${service} cascade; create schema ${service}; create table ${service}.other ()`)
          const first = yield* Effect.flip(adopt)
          expect(first).toMatchObject({ _tag: "RevisionFailed", direction: "verify" })
          expect(first.message).toContain("/0001_")
        })
    )
  }

  it.scopedLive("refuses a schema that is not what the revisions make, and names each difference", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_base.sql": revision(
          "create table router.t (id bigint generated always as identity primary key, name text not null);\n" +
            "create index t_name on router.t (name);\ncreate function router.f() returns int language sql as 'select 1';",
          "drop table router.t;"
        )
      })
      yield* ask(
        url,
        `create schema router; create table router.t (id bigint generated always as identity primary key, name varchar(5) not null);
         create table router.other (z int); create table router.alembic_version (version_num text primary key);
         create function router.f() returns int language sql as 'select 2'`
      )
      const adopt = (options = {}) => stamp(router, upTo(1), "adopt", options).pipe(onRouter(url, migrations))
      const refusal = yield* Effect.flip(adopt())
      expect(refusal).toMatchObject({ _tag: "StampDiffers", exitCode: 10, target: "0001_base" })
      expect(refusal.message.split("\n").filter((line) => /^ {2}[-+~] /.test(line))).toEqual([
        "  + column router.other.z",
        "  ~ column router.t.name",
        "  ~ function router.f()",
        "  - index router.t_name",
        "  + table router.other"
      ])
      expect(refusal.message).toMatch(/described: text not null\n +here: +character varying\(5\) not null/)
      expect(refusal.message).toContain("stamp 0001_base --accept-differences --reason")
      expect(yield* Effect.flip(migrateRouter(url, migrations))).toMatchObject({ _tag: "SchemaNotEmpty" })

      expect((yield* adopt({ acceptDifferences: true })).differences).toHaveLength(5)
      const details =
        "select reason, details -> 'differences' ->> 0 as first from router.schema_event where event = 'stamped'"
      expect(yield* ask(url, details)).toEqual([{ reason: "adopt", first: "+ column router.other.z" }])
    })
  )

  it.scopedLive("accepts owners, grants, comments and partitions of its own, which revisions do not make", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_base.sql": revision(
          "create table router.t (n int) partition by list (n);\ncomment on table router.t is 'one';",
          "drop table router.t;"
        )
      })
      yield* ask(
        url,
        `create schema router; create table router.t (n int) partition by list (n); create index on router.t (n);
         drop index router.t_n_idx; create table router.t1 partition of router.t for values in (1);
         grant select on router.t to pg_monitor; comment on table router.t is 'two'; create schema other; create table other.x ()`
      )
      expect((yield* stamp(router, upTo(1), "adopt").pipe(onRouter(url, migrations))).differences).toEqual([])
    })
  )

  it.scopedLive("cannot be compared where the revisions need a server of their own; then only the option stamps", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_base.sql": revision("create table router.t ();\nalter role pg_monitor set work_mem = '1MB';")
      })
      yield* ask(url, "create schema router; create table router.t ()")
      const refusal = yield* Effect.flip(stamp(router, upTo(1), "adopt").pipe(onRouter(url, migrations)))
      expect(refusal).toMatchObject({ _tag: "StampNotCompared", exitCode: 10 })
      expect(refusal.message).toContain("0001_base.sql:3: changes the settings of a role")
      const all = { acceptDifferences: true }
      const stamped = yield* stamp(router, upTo(1), "adopt", all).pipe(onRouter(url, migrations))
      expect(stamped.differences).toEqual([expect.stringMatching(/^not compared: .*0001_base\.sql:3/s)])
    })
  )

  it.scopedLive("restores a row that was removed from the history by hand", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf(three)
      yield* migrateRouter(url, migrations)
      yield* ask(url, "delete from router.schema_history where revision = 2")
      const refusal = yield* Effect.flip(migrateRouter(url, migrations))
      expect(refusal).toMatchObject({ _tag: "RevisionConflict", exitCode: 5 })
      expect(refusal.message).toContain("stamp 0002_b --reason")
      expect(yield* stamp(router, upTo(2, "b"), "its row was lost").pipe(onRouter(url, migrations))).toMatchObject({
        from: "0003_c",
        to: "0003_c",
        revisions: ["0002_b"]
      })
      expect((yield* migrateRouter(url, migrations)).steps).toEqual([])
      expect((yield* migrateRouter(url, migrations, Target.DownTo({ number: 0, slug: null }))).to).toBe("base")
    })
  )
})
