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

describe("stamp", () => {
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
        revisions: ["0001_a", "0002_b"]
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
      expect(yield* ask(url, "select from router.schema_history")).toEqual([])
      expect(yield* eventsOf(url)).toEqual(["prepared"])
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
      expect(yield* ask(url, "select from router.schema_history")).toEqual([])
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
