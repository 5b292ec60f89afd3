import { unlink } from "node:fs/promises"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { commandLine } from "../../support/migrator/CommandLine.ts"
import { ask, migrationsOf, revision, tableA, tableB, write } from "../../support/migrator/Fixture.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

/** A router schema at 0002, and a command line for it. */
const router = (files: Readonly<Record<string, string>>) =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    const migrations = yield* migrationsOf(files)
    const migrate = (...args: ReadonlyArray<string>) => commandLine({ url, migrations })(...args, "--service", "router")
    yield* migrate()
    return { url, migrations, migrate }
  })

const two = { "router/0001_a.sql": tableA, "router/0002_b.sql": tableB }

describe("status", { timeout: 30_000 }, () => {
  it.scopedLive(
    "lists pending, late, edited, missing and partly applied revisions; pending alone is not a failure",
    () =>
      Effect.gen(function* () {
        const { migrate, migrations, url } = yield* router(two)
        const line = (name: string) =>
          Effect.map(
            migrate("status"),
            ({ code, stdout }) =>
              `${code} ${stdout
                .split("\n")
                .find((one) => one.includes(` ${name} `))
                ?.replace(/ {2,}/g, " ")
                .replace(/ 20\S+Z \d+ ms$/, "")}`
          )
        yield* write(migrations, { "router/0003_c.sql": revision("select 1;") })
        expect(yield* line("0003_c")).toBe("0 router 0003_c expand pending - -")
        expect((yield* migrate("status")).stdout).toContain(
          "at 0002_b; head is 0003_c; 1 pending: pnpm migrate --service router"
        )

        yield* write(migrations, { "router/0002_b.sql": `${tableB}-- edited\n` })
        expect(yield* line("0002_b")).toBe("4 router 0002_b expand applied, edited since")

        yield* Effect.promise(() => unlink(join(migrations, "router/0002_b.sql")))
        yield* write(migrations, { "router/0002_x.sql": revision("select 2;") })
        expect(yield* line("0002_b")).toBe("5 router 0002_b expand applied, file missing")
        expect(yield* line("0002_x")).toBe("5 router 0002_x expand late - -")

        yield* write(migrations, two)
        yield* Effect.promise(() => unlink(join(migrations, "router/0002_x.sql")))
        yield* ask(url, "update router.schema_history set state = 'applying', steps_done = 1 where revision = 2")
        expect(yield* line("0002_b")).toMatch(/^7 router 0002_b expand partly applied \(applying, 1 of 2 statements\)/)
      })
  )

  it.scopedLive(
    "reports a schema with tables and no history as an upgrade does, with the histories of other tools",
    () =>
      Effect.gen(function* () {
        const url = yield* freshDatabase
        const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA })
        const migrate = (...args: ReadonlyArray<string>) =>
          commandLine({ url, migrations })(...args, "--service", "router")
        yield* ask(url, "create schema router; create table router.t ()")
        const plain = yield* migrate("status")
        expect([plain.code, plain.stderr]).toEqual([10, (yield* migrate("upgrade")).stderr])
        expect(plain.stderr).toContain("if they may go: drop schema router cascade")

        yield* ask(
          url,
          `create table router.alembic_version (version_num text); insert into router.alembic_version values ('ae1027a6acf');
         create table public.flyway_schema_history (installed_rank int, version text);
         insert into public.flyway_schema_history values (1, '9'), (2, '10')`
        )
        for (const command of [["status"], ["upgrade"], ["upgrade", "--dry-run"], ["check", "--db"], ["repair"]]) {
          const { code, stderr } = yield* migrate(...command)
          expect([command, code]).toEqual([command, 10])
          expect(stderr).toContain(
            "It has the history of another tool: Alembic's router.alembic_version, at ae1027a6acf; " +
              "Flyway's public.flyway_schema_history, at 10"
          )
          expect(stderr).not.toContain("drop schema")
        }
      })
  )
})

describe("history and show", { timeout: 30_000 }, () => {
  it.scopedLive("list the applied revisions, and every event", () =>
    Effect.gen(function* () {
      const { migrate } = yield* router(two)
      yield* migrate("downgrade", "1", "--allow-data-loss")
      const { stdout } = yield* migrate("history", "--json")
      expect(JSON.parse(stdout).services[0].result.revisions).toMatchObject([
        { revision: "0001_a", kind: "sql", state: "applied", upChecksum: expect.stringMatching(/^[0-9a-f]{64}$/) }
      ])
      const log = yield* migrate("history", "--events")
      expect(log.stdout.split("\n").map((row) => row.trim().split(/ {2,}/).slice(2, 4).join(" "))).toEqual([
        "event revision",
        "prepared -",
        "applied 0001_a",
        "applied 0002_b",
        "reverted 0002_b",
        ""
      ])
    })
  )

  it.scopedLive("show a revision's file and its history row", () =>
    Effect.gen(function* () {
      const { migrate, migrations } = yield* router(two)
      yield* write(migrations, { "router/0002_b.sql": tableB.replace("values (1)", "values (2)") })
      const { code, stdout } = yield* migrate("show", "2", "--json")
      expect(code).toBe(0)
      const { result } = JSON.parse(stdout).services[0]
      expect(result).toMatchObject({
        revision: "0002_b",
        state: "edited",
        phase: "expand",
        up: [{ text: "create table router.b (id int)" }, { text: "insert into router.b values (2)", line: 3 }],
        down: [{ text: "drop table router.b" }],
        storedDown: "-- migrate:down\ndrop table router.b;"
      })
      expect(result.appliedChecksum).not.toBe(result.upChecksum)
      const shown = yield* migrate("show", "0002_b")
      expect(shown.stdout).toMatch(/^file: +\S+0002_b\.sql$/m)
      expect(shown.stdout).toMatch(/^as applied: +[0-9a-f]{64}$/m)
      expect((yield* migrate("show", "3")).code).toBe(8)
      expect((yield* migrate("show", "head")).code).toBe(2)
    })
  )
})

describe("verify and check --db", { timeout: 30_000 }, () => {
  it.scopedLive("run all assertions again read-only, and compare all checksums", () =>
    Effect.gen(function* () {
      const asserting = (assertion: string) =>
        `${revision("create table router.a (id int);", "drop table router.a;")}-- migrate:verify\n${assertion};\n`
      const { migrate, migrations, url } = yield* router({
        "router/0001_a.sql": asserting("select to_regclass('router.a') is not null"),
        "router/0002_b.sql": tableB
      })
      const well = yield* migrate("verify")
      expect(well.code).toBe(0)
      expect(well.stdout).toMatch(/0001_a +as applied +hold\n.*0002_b +as applied +none/)

      yield* ask(url, "drop table router.a")
      const broken = yield* migrate("verify")
      expect(broken.code).toBe(1)
      expect(broken.stderr).toMatch(/0001_a: .*0001_a\.sql:7: the assertion returned false/)
      yield* ask(url, "create table router.a (id int)")

      yield* write(migrations, {
        "router/0001_a.sql": asserting("with x as (insert into router.a values (1) returning id) select true from x")
      })
      expect((yield* migrate("verify")).stderr).toContain("read-only transaction")
      expect(yield* ask(url, "select from router.a")).toEqual([])

      yield* write(migrations, {
        "router/0001_a.sql": asserting("select true"),
        "router/0002_b.sql": `${tableB}-- edited\n`
      })
      expect((yield* migrate("verify")).code).toBe(4)
      expect((yield* migrate("check", "--db")).code).toBe(4)
      expect((yield* migrate("check")).code).toBe(0)
      yield* write(migrations, { "router/0002_b.sql": tableB, "router/0003_c.sql": revision("select 1;") })
      const pending = yield* migrate("check", "--db")
      expect(pending).toMatchObject({ code: 3 })
      expect(pending.stderr).toContain("pending: 0003_c. To apply: pnpm migrate --service router upgrade")
      yield* migrate()
      expect((yield* migrate("check", "--db")).code).toBe(0)
    })
  )
})
