import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { freshDatabase } from "../support/TestDatabase.ts"
import { ask, eventsOf, migrationsOf, revision, tableA, tablesOf } from "./support/Fixture.ts"
import { run, start } from "./support/Processes.ts"

describe("a process that starts a service", { timeout: 120_000 }, () => {
  it.scopedLive("is one of eight that start at once on an empty database: one applies, all succeed", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const ended = yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7, 8], () => run("startService", ["guardian"], { url }), {
        concurrency: "unbounded"
      })
      expect(ended.map(({ code, stderr }) => [code, stderr.trim()])).toEqual(ended.map(() => [0, ""]))
      for (const { stdout } of ended) {
        expect(stdout).toContain("Guardian schema versioned at revision 0001_certificates_sessions_badges (head)")
        expect(stdout).toContain("the port would open")
      }
      expect(ended.filter(({ stdout }) => stdout.includes("0001_certificates_sessions_badges applied"))).toHaveLength(1)
      expect(yield* ask(url, "select event from guardian.schema_event order by id")).toEqual([
        { event: "prepared" },
        { event: "applied" }
      ])
    })
  )

  it.scopedLive("ends non-zero before its port opens when a revision is broken, and says what and where", () =>
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

  it.scopedLive("leaves no lock behind at SIGKILL: the next start goes on", () =>
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
      expect(next.code).toBe(0)
      expect(yield* eventsOf(url)).toEqual(["prepared", "applied slow"])
    })
  )

  it.scopedLive("ends with 9 and the missing GRANT when its role may not make the schema", () =>
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
