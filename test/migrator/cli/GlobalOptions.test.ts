import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { commandLine } from "../../support/migrator/CommandLine.ts"
import { ask, migrationsOf, tableA, tableB } from "../../support/migrator/Fixture.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const nowhere = Redacted.make("postgresql://stranger:hidden-word@127.0.0.1:9/none")

describe("the options of all commands", { timeout: 30_000 }, () => {
  it.scopedLive("may come before the command's name, after it and after its target, in any order", () =>
    Effect.gen(function* () {
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA, "router/0002_b.sql": tableB })
      const migrate = commandLine({ url: nowhere, migrations })
      const lines = [
        "upgrade 1 --sql --json --service router",
        "upgrade --sql 1 --json --service router",
        "upgrade --sql --json --service router 1 --lock-timeout 7s",
        "--service router --sql upgrade --json 1",
        "--sql --lock-timeout 7s upgrade --service router 1 --json",
        "--json upgrade --service router --yes --no-color --sql 1"
      ]
      const found = yield* Effect.forEach(lines, (line) =>
        Effect.map(migrate(...line.split(" ")), ({ code, stdout }) => [
          code,
          JSON.parse(stdout).services.map(({ result }: { readonly result: { readonly to: string } }) => result.to)
        ])
      )
      expect(found).toEqual(lines.map(() => [0, ["0001_a"]]))
      const backwards = [
        "-1 --service router --dry-run",
        "--dry-run -1 --service router",
        "--service router --yes -1 --dry-run"
      ]
      for (const line of backwards) {
        // The command line is valid, and no server answers there.
        expect((yield* migrate("downgrade", ...line.split(" "))).code).toBe(9)
      }
      expect((yield* migrate("--sql", "upgrade", "1", "2", "--service", "router")).code).toBe(2)
    })
  )

  it.scopedLive("take another database for all services from --database-url, and never show its password", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA })
      const migrate = commandLine({ url: nowhere, migrations })
      const there = ["--service", "router", "--database-url", Redacted.value(url)]
      expect((yield* migrate(...there)).code).toBe(0)
      expect(yield* ask(url, "select name from router.schema_version")).toEqual([{ name: "0001_a" }])

      const away = yield* migrate("status", "--database-url", Redacted.value(nowhere), "--json")
      expect(away.code).toBe(9)
      expect(away.stdout).toContain("postgresql://stranger@127.0.0.1:9/none")
      const wrong = yield* migrate("status", "--database-url", "mysql://stranger:hidden-word@127.0.0.1/none")
      expect(wrong.code).toBe(2)
      for (const { stderr, stdout } of [away, wrong]) expect(stdout + stderr).not.toContain("hidden-word")
    })
  )

  it.scopedLive("set how long a transaction waits for locks, if its revision does not", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const set = "create table router.waits as select current_setting('lock_timeout') as long;"
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": `-- migrate:up\n${set}\n-- migrate:down\ndrop table router.waits;\n`
      })
      expect((yield* commandLine({ url, migrations })("--service", "router", "--lock-timeout", "7s")).code).toBe(0)
      expect(yield* ask(url, "select long from router.waits")).toEqual([{ long: "7s" }])
      expect((yield* commandLine({ url, migrations })("--lock-timeout", "soon")).code).toBe(2)
    })
  )

  it.scopedLive("show usage errors as a JSON object too", () =>
    Effect.gen(function* () {
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA })
      const migrate = commandLine({ url: nowhere, migrations })
      const unknown = yield* migrate("downgrade", "yesterday", "--json")
      expect(unknown.code).toBe(2)
      expect(JSON.parse(unknown.stdout)).toMatchObject({
        exitCode: 2,
        services: [],
        error: { error: "WrongUsage", message: expect.stringContaining('"yesterday" is not a target') }
      })
      const { code, stdout } = yield* migrate("upgrade", "1", "--json")
      expect(code).toBe(2)
      expect(JSON.parse(stdout)).toMatchObject({
        command: "upgrade",
        exitCode: 2,
        services: [{ ok: false, error: { error: "CommandRefused", exitCode: 2 } }, {}, {}]
      })
    })
  )

  it.scopedLive("are listed in every command's help, with examples", () =>
    Effect.gen(function* () {
      const migrate = commandLine({ url: nowhere })
      const commands =
        "upgrade downgrade redo status current history show new check verify test stamp repair renumber unlock"
      const helps = yield* Effect.forEach(commands.split(" "), (command) => migrate(command, "--help"))
      for (const { code, stdout } of helps) {
        expect(code).toBe(0)
        expect(stdout).toMatch(/migrate \w+/)
        for (const option of ["--service", "--dry-run", "--sql", "--json", "--database-url", "--yes", "--no-color"]) {
          expect(stdout).toContain(option)
        }
      }
    })
  )
})
