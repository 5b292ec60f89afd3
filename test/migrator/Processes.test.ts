import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { ask, eventsOf, migrateRouter, migrationsOf, revision, tableA, tablesOf } from "../support/migrator/Fixture.ts"
import { run, start } from "../support/migrator/Processes.ts"
import { freshDatabase } from "../support/TestDatabase.ts"

describe("a process that starts a service", { timeout: 120_000 }, () => {
  it.scopedLive("ends non-zero before its port opens if a revision fails, and names the error and its location", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const broken = revision("create table router.b (\n  id nonsense\n);")
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA, "router/0002_b.sql": broken })
      const { code, stderr, stdout } = yield* run("startService", ["router"], { url, migrations })
      expect(code).toBe(1)
      expect(stdout).not.toContain("the port would open")
      expect(stderr).toMatch(
        /router: revision 0002_b \(up\) failed at .*0002_b\.sql:3:6: type "nonsense" does not exist \(SQLSTATE 42704\)/
      )
      expect(stderr).toContain("statement: create table router.b ( id nonsense )")
      const { password } = new URL(Redacted.value(url))
      if (password !== "") expect(stdout + stderr).not.toContain(password)
    })
  )

  it.scopedLive("rolls its revision back at SIGTERM and ends with 143", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const slow = revision("create table router.s ();\nselect pg_sleep(25);")
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA, "router/0002_slow.sql": slow })
      const { child, ended } = yield* start("startService", ["router"], { url, migrations })
      const sleeping = ask(
        url,
        "select from pg_stat_activity where query = 'select pg_sleep(25)' and state = 'active' and datname = current_database()"
      )
      yield* Effect.repeat(sleeping, { until: (rows) => rows.length > 0, schedule: Schedule.spaced("50 millis") })
      child.kill("SIGTERM")
      expect((yield* Effect.promise(() => ended)).code).toBe(143)
      expect(yield* sleeping).toEqual([])
      expect(yield* tablesOf(url, "router")).toEqual(["a"])
      expect(yield* eventsOf(url)).toEqual(["prepared", "applied a"])
    })
  )

  it.scopedLive("leaves no lock after a SIGKILL, so the next start continues", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const slow = revision("create table router.s ();\nselect pg_sleep(1.5);")
      const migrations = yield* migrationsOf({ "router/0001_slow.sql": slow })
      const { child, ended } = yield* start("startService", ["router"], { url, migrations })
      const sleeping = ask(
        url,
        "select from pg_stat_activity where query = 'select pg_sleep(1.5)' and state = 'active' and datname = current_database()"
      )
      yield* Effect.repeat(sleeping, { until: (rows) => rows.length > 0, schedule: Schedule.spaced("50 millis") })
      child.kill("SIGKILL")
      yield* Effect.promise(() => ended)
      const next = yield* run("startService", ["router"], { url, migrations })
      expect([next.code, next.stderr.trim()]).toEqual([0, ""])
      expect(next.stdout).toContain("the port would open")
      expect(yield* eventsOf(url)).toEqual(["prepared", "applied slow"])
    })
  )

  it.scopedLive("continues a revision without a transaction that was killed between two statements", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const steps = revision(
        "create table router.one ();\nselect pg_sleep(1.6);\ncreate table router.two ();",
        "drop table router.two;\ndrop table router.one;",
        " transaction:false"
      ).replace("migrate:down", "migrate:down transaction:false")
      const migrations = yield* migrationsOf({ "router/0001_steps.sql": steps })
      const { child, ended } = yield* start("startService", ["router"], { url, migrations })
      const sleeping = ask(
        url,
        "select from pg_stat_activity where query = 'select pg_sleep(1.6)' and state = 'active' and datname = current_database()"
      )
      yield* Effect.repeat(sleeping, { until: (rows) => rows.length > 0, schedule: Schedule.spaced("50 millis") })
      child.kill("SIGKILL")
      yield* Effect.promise(() => ended)
      // Run again from its first statement, it would fail, because that table exists.
      expect(yield* tablesOf(url, "router")).toEqual(["one"])
      expect((yield* migrateRouter(url, migrations)).to).toBe("0001_steps")
      expect(yield* tablesOf(url, "router")).toEqual(["one", "two"])
      expect(yield* ask(url, "select state, steps_done, steps_total from router.schema_history")).toEqual([
        { state: "applied", steps_done: 3, steps_total: 3 }
      ])
      expect(yield* eventsOf(url)).toEqual(["prepared", "applied steps"])
    })
  )

  it.scopedLive("ends with 9 and the missing GRANT if its role may not create the schema", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const role = `limited_${new URL(Redacted.value(url)).pathname.slice(-12)}`
      yield* Effect.acquireRelease(ask(url, `create role ${role} login password 'limited-and-secret'`), () =>
        Effect.orDie(ask(url, `drop role ${role}`))
      )
      const limited = new URL(Redacted.value(url))
      limited.username = role
      limited.password = "limited-and-secret"
      const { code, stderr, stdout } = yield* run("startService", ["router"], { url: Redacted.make(limited.href) })
      expect(code).toBe(9)
      expect(stderr).toContain("grant create on database")
      expect(stdout + stderr).not.toContain("limited-and-secret")
    })
  )
})
