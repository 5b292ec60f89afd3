import { readFile, rm } from "node:fs/promises"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { slugOf } from "../../../src/migrator/cli/NewCommand.ts"
import { commandLine } from "../../support/migrator/CommandLine.ts"
import { dataMigrationsOf } from "../../support/migrator/DataMigrations.ts"
import { ask, migrationsOf, revision, tableA, tableB, tablesOf, write } from "../../support/migrator/Fixture.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const nowhere = Redacted.make("postgresql://stranger@127.0.0.1:9/none")

describe("new", () => {
  it.scopedLive("writes the next revision, which check refuses until it has its statements", () =>
    Effect.gen(function* () {
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA })
      const migrate = (...args: ReadonlyArray<string>) =>
        commandLine({ url: nowhere, migrations })(...args, "--service", "router")
      const made = yield* migrate("new", "Add a reason!")
      expect(made.code).toBe(0)
      expect(made.stdout.trim()).toMatch(/router\/0002_add_a_reason\.sql$/)
      const text = yield* Effect.promise(() => readFile(join(migrations, "router/0002_add_a_reason.sql"), "utf8"))
      expect(text).toMatch(/^-- Add a reason!\n(.*\n)*-- migrate:up\n\n-- migrate:down\n/)
      const refused = yield* migrate("check")
      expect(refused.code).toBe(5)
      expect(refused.stderr).toContain("migrate:up has no statement")
      expect((yield* migrate("new", "next")).stdout.trim()).toMatch(/0003_next\.sql$/)
    })
  )

  it.scopedLive("writes a data revision that runs unchanged once its table exists", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* dataMigrationsOf({
        "router/0001_todo.sql": revision(
          "create table router.todo (id int, done boolean);\ninsert into router.todo select n, false from generate_series(1, 2500) as n;",
          "drop table router.todo;"
        )
      })
      const migrate = (...args: ReadonlyArray<string>) =>
        commandLine({ url, migrations })(...args, "--service", "router")
      expect((yield* migrate("new", "Fill the reasons", "--ts")).stdout.trim()).toMatch(/0002_fill_the_reasons\.ts$/)
      expect(yield* migrate("check")).toMatchObject({ code: 0, stderr: "" })
      expect(yield* migrate()).toMatchObject({ code: 0, stderr: "" })
      expect(yield* ask(url, "select count(*)::int from router.todo where not done")).toEqual([{ count: 0 }])
      yield* write(migrations, { "router/0003_wrong.ts": "export const down = 1\n" })
      expect((yield* migrate("check")).code).toBe(5)
    })
  )

  it.effect("needs one service and a title for the file name", () =>
    Effect.gen(function* () {
      const migrate = commandLine({ url: nowhere })
      expect((yield* migrate("new", "x", "--dry-run")).code).toBe(2)
      expect((yield* migrate("new", "!?", "--service", "router", "--dry-run")).code).toBe(2)
      expect(["Café, crème", "  a--b  ", "日本", "x".repeat(90)].map(slugOf)).toEqual([
        "cafe_creme",
        "a_b",
        null,
        "x".repeat(60)
      ])
    })
  )
})

describe("redo", { timeout: 30_000 }, () => {
  it.scopedLive("reverts and applies again, needs consent to lose rows, and is refused in production", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": tableA,
        "router/0002_b.sql": tableB,
        "router/0003_c.sql": revision("create table router.c ();", "drop table router.c;")
      })
      const redo = (environment: Readonly<Record<string, string>>, ...args: ReadonlyArray<string>) =>
        commandLine({ url, migrations, environment })("redo", ...args, "--service", "router")
      yield* commandLine({ url, migrations })("--service", "router")
      expect((yield* redo({})).code).toBe(0)
      const loses = yield* redo({}, "2")
      expect(loses.code).toBe(10)
      expect(loses.stderr).toContain("0002_b: table router.b: 1 row")
      const { code, stdout } = yield* redo({}, "2", "--allow-data-loss", "--json")
      expect(code).toBe(0)
      expect(JSON.parse(stdout).services[0].result.steps).toEqual([
        { direction: "down", revision: "0003_c" },
        { direction: "down", revision: "0002_b" },
        { direction: "up", revision: "0002_b" },
        { direction: "up", revision: "0003_c" }
      ])
      yield* Effect.promise(() => rm(join(migrations, "router/0003_c.sql")))
      const ahead = yield* redo({})
      expect(ahead.code).toBe(8)
      expect(ahead.stderr).toContain("the head is 0002_b")
      expect(yield* tablesOf(url, "router")).toEqual(["a", "b", "c"])
      const production = yield* redo({ NODE_ENV: "production" })
      expect(production.code).toBe(10)
      expect(production.stderr).toContain("NODE_ENV is production")
      expect(yield* tablesOf(url, "router")).toEqual(["a", "b", "c"])
      expect(yield* ask(url, "select count(*)::int from router.schema_event where event = 'reverted'")).toEqual([
        { count: 3 }
      ])
    })
  )
})
