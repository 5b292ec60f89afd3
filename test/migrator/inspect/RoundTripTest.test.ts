import { randomUUID } from "node:crypto"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { scratchServer } from "../../../src/app/Storage.ts"
import { commandLine } from "../../support/migrator/CommandLine.ts"
import { ask, migrationsOf, revision, tableA } from "../../support/migrator/Fixture.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const scratches = (url: Redacted.Redacted, pids: ReadonlyArray<string> = []) =>
  Effect.map(ask(url, "select datname as name from pg_database where datname like 'gravitas_scratch_%'"), (rows) =>
    rows.map(({ name }) => String(name)).filter((name) => !pids.includes(name))
  )

describe("migrate test", { timeout: 180_000 }, () => {
  it.scopedLive("finds every shipped revision reversible, and drops its database", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const before = yield* scratches(url)
      const { code, stderr, stdout } = yield* commandLine({ url })("test")
      expect([code, stderr]).toEqual([0, ""])
      expect(stdout.match(/^(gatekeeper|guardian|router) .* reversible$/gm)?.length).toBeGreaterThan(3)
      expect(yield* scratches(url, before)).toEqual([])
      expect(yield* ask(url, "select nspname from pg_namespace where nspname in ('gatekeeper', 'router')")).toEqual([])
    })
  )

  it.scopedLive("reports what a down left behind, what it removed too much, and how a second up differs", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": tableA,
        "router/0002_forgets.sql": revision(
          "alter table router.a add column note text;\ncreate function router.f() returns int language sql as 'select 1';",
          "alter table router.a drop column note;"
        ).replace("create function", "create or replace function"),
        "router/0003_takes_too_much.sql": revision(
          "create table router.c (id int);",
          "drop table router.c;\nalter table router.a drop constraint a_pkey;"
        ),
        "router/0004_for_good.sql": "-- migrate:up\nselect 1;\n-- migrate:irreversible why not\n"
      })
      const migrate = commandLine({ url, migrations })
      const { code, stderr, stdout } = yield* migrate("test", "--service", "router")
      expect(code).toBe(1)
      expect(stdout).toMatch(
        /0001_a +reversible\n.*0002_forgets +not reversible\n.*0003_takes_too_much +not reversible\n/
      )
      expect(stdout).toContain("up only; irreversible: why not")
      expect(stderr).toContain(
        "0002_forgets: its down does not revert its up (+ left behind, - removed too much, ~ changed):\n    + function router.f()\n"
      )
      expect(stderr).toContain("    - constraint a_pkey on router.a\n    - index router.a_pkey\n")
      expect(stderr).toMatch(/0003_takes_too_much: up after down differs from the first up/)
      const { services } = JSON.parse((yield* migrate("test", "--service", "router", "--json")).stdout)
      expect(services[0].result.revisions[1]).toMatchObject({
        revision: "0002_forgets",
        afterDown: [{ object: "function router.f()", before: null }, {}, {}]
      })
    })
  )

  it.scopedLive(
    "begins each section in a clean session, without prepared statements and sequence values of earlier ones",
    () =>
      Effect.gen(function* () {
        const url = yield* freshDatabase
        const prepares = {
          "router/0001_a.sql": tableA,
          "router/0002_prepares.sql": revision(
            "prepare p as insert into router.a values ($1);\nexecute p(1);\ncreate sequence router.s;\nselect nextval('router.s');",
            "drop sequence router.s;\ndelete from router.a;"
          )
        }
        const reads = { "router/0003_reads.sql": revision("select currval('router.s');") }
        const test = (files: Readonly<Record<string, string>>) =>
          Effect.flatMap(migrationsOf(files), (migrations) =>
            commandLine({ url, migrations })("test", "--service", "router")
          )
        expect(yield* test(prepares)).toMatchObject({ code: 0, stderr: "" })
        expect((yield* test({ ...prepares, ...reads })).stderr).toContain(
          'currval of sequence "s" is not yet defined in this session'
        )
      })
  )

  it.scopedLive("touches no role of a server with other users, and tests such revisions in a server of their own", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const [made, kept] = [`trial_${randomUUID().slice(0, 8)}`, `kept_${randomUUID().slice(0, 8)}`]
      const block = (body: string) => `do $$ begin ${body} end $$;`
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": revision(
          `create table router.a (id int primary key);\ngrant select on router.a to ${kept};`,
          "drop table router.a;"
        ),
        "router/0002_role.sql": revision(
          block(
            `if not exists (select from pg_catalog.pg_roles where rolname = '${made}') then create role ${made}; end if;`
          ),
          `drop role if exists ${made};`
        ),
        "router/0003_forgets.sql": revision(`alter role ${kept} set work_mem = '7MB';`)
      })
      yield* Effect.acquireRelease(ask(url, `create role ${made}; create role ${kept}; grant ${made} to ${kept}`), () =>
        Effect.orDie(ask(url, `drop role if exists ${made}; drop role if exists ${kept}`))
      )
      const members = "select m.oid from pg_auth_members m join pg_roles r on r.oid = m.roleid where rolname = $1"
      const before = yield* ask(url, members, [made])

      const refused = yield* commandLine({ url, migrations })("test", "--service", "router")
      expect(refused.code).toBe(10)
      expect(refused.stderr).toMatch(/0002_role\.sql:2: creates a role\n.*0002_role\.sql:5: drops a role/)
      expect(refused.stderr).toContain("a PostgreSQL that is started for this alone")

      const own = yield* commandLine({ url, migrations, scratchServer })("test", "--service", "router")
      expect(own.code).toBe(1)
      expect(own.stdout).toMatch(/0001_a +reversible\n.*0002_role +reversible\n.*0003_forgets +not reversible/)
      expect(own.stderr).toContain(`+ settings of role ${kept}`)
      expect(yield* ask(url, members, [made])).toEqual(before)
      expect(yield* ask(url, "select rolconfig from pg_roles where rolname = $1", [kept])).toEqual([
        { rolconfig: null }
      ])
    })
  )

  it.scopedLive(
    "ends with the failure of a revision that cannot run, and drops the scratch database when interrupted",
    () =>
      Effect.gen(function* () {
        const url = yield* freshDatabase
        const before = yield* scratches(url)
        const broken = yield* migrationsOf({ "router/0001_a.sql": revision("select 1;", "drop table router.nowhere;") })
        const failed = yield* commandLine({ url, migrations: broken })("test", "--service", "router")
        expect(failed.code).toBe(1)
        expect(failed.stderr).toMatch(/0001_a \(down\) failed at .*0001_a\.sql:5/)
        expect(yield* scratches(url, before)).toEqual([])

        const slow = yield* migrationsOf({ "router/0001_a.sql": revision("select pg_sleep(60);") })
        const running = yield* Effect.fork(commandLine({ url, migrations: slow })("test", "--service", "router"))
        yield* Effect.repeat(scratches(url, before), {
          until: (found) => found.length === 1,
          schedule: Schedule.spaced("50 millis")
        })
        yield* Fiber.interrupt(running)
        expect(yield* scratches(url, before)).toEqual([])
      })
  )
})
