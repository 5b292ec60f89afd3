import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { commandLine } from "../../support/migrator/CommandLine.ts"
import { migrationsOf, revision, tableA, tableB, tablesOf } from "../../support/migrator/Fixture.ts"
import { run } from "../../support/migrator/Processes.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const only =
  (migrations: string, url: Redacted.Redacted) =>
  (...args: ReadonlyArray<string>) =>
    commandLine({ url, migrations })(...args, "--service", "router")

describe("the migrate command", { timeout: 120_000 }, () => {
  it.scopedLive(
    "upgrades every service without a command, downgrades one, and names the service that is not at head",
    () =>
      Effect.gen(function* () {
        const url = yield* freshDatabase
        const up = yield* run("runMigrate", ["--json"], { url })
        expect(up.code).toBe(0)
        expect(JSON.parse(up.stdout)).toMatchObject({
          command: "upgrade",
          exitCode: 0,
          services: ["gatekeeper", "guardian", "router"].map((service) => ({
            service,
            ok: true,
            result: { from: "base" }
          }))
        })
        const migrate = commandLine({ url })
        const down = yield* migrate("downgrade", "base", "--service", "guardian")
        expect([down.code, yield* tablesOf(url, "guardian")]).toEqual([0, []])
        const current = yield* migrate("current", "--check-head")
        expect(current.code).toBe(3)
        expect(current.stdout).toMatch(/^guardian +base +\d{4}_\w+$/m)
        expect(current.stdout).toMatch(/^router +\d{4}_\w+ +\(head\)$/m)
        expect(current.stderr).toContain("pnpm migrate --service guardian upgrade")
      })
  )

  it.scopedLive("shows each revision's state in an aligned table without colours for a pipe", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrate = only(yield* migrationsOf({ "router/0001_a.sql": tableA, "router/0002_b.sql": tableB }), url)
      yield* migrate("upgrade", "+1")
      const { code, stdout } = yield* migrate("status")
      expect(code).toBe(0)
      expect(stdout).toMatch(/^service {2}revision {2}phase {3}state {4}applied at/)
      expect(stdout).toMatch(/^router {3}0001_a {4}expand {2}applied {2}2\S+Z {2}\d+ ms$/m)
      expect(stdout).toMatch(/^router {3}0002_b {4}expand {2}pending {2}-/m)
      expect(stdout).not.toContain("\u001b")
    })
  )

  it.scopedLive("shows a failing line with a caret, and the same as an object with --json", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrate = only(
        yield* migrationsOf({ "router/0001_a.sql": revision("create table router.a (id nonsense);") }),
        url
      )
      const shown = yield* migrate("upgrade")
      expect(shown.code).toBe(1)
      expect(shown.stderr).toContain("  2 | create table router.a (id nonsense)\n    |                           ^")
      const { code, stdout } = yield* migrate("upgrade", "--json")
      expect(code).toBe(1)
      expect(JSON.parse(stdout)).toMatchObject({
        exitCode: 1,
        services: [{ ok: false, error: { error: "RevisionFailed", line: 2, column: 27, sqlstate: "42704" } }]
      })
    })
  )

  it.scopedLive("checks the downgrade of every service before the first one changes", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "gatekeeper/0001_no_return.sql": "-- migrate:up\nselect 1;\n-- migrate:irreversible it is\n",
        "guardian/0001_x.sql": revision("create table guardian.x ();", "drop table guardian.x;"),
        "router/0001_a.sql": tableA
      })
      yield* commandLine({ url, migrations })()
      const { code, stderr } = yield* commandLine({ url, migrations })("downgrade", "base")
      expect(code).toBe(10)
      expect(stderr).toContain("0001_no_return (it is)")
      expect(yield* tablesOf(url, "router")).toEqual(["a"])
    })
  )

  it.scopedLive("refuses invalid arguments with the code of each error", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const codes = yield* Effect.forEach(
        [
          ["downgrade"],
          ["downgrade", "yesterday"],
          ["downgrade", "0001_history"],
          ["status", "--service", "treasurer"],
          ["upgrade", "0042", "--service", "router"]
        ],
        (args) => Effect.map(commandLine({ url })(...args), ({ code }) => `${args.join(" ")}: ${code}`)
      )
      expect(codes).toEqual([
        "downgrade: 2",
        "downgrade yesterday: 2",
        "downgrade 0001_history: 2",
        "status --service treasurer: 2",
        "upgrade 0042 --service router: 8"
      ])
    })
  )

  it.live("reports an unreachable server with 9, also in the JSON object, and never shows the password", () =>
    Effect.gen(function* () {
      const url = Redacted.make("postgresql://gravitas:hidden-word@127.0.0.1:9/gravitas?connect_timeout=1")
      const { code, stderr, stdout } = yield* commandLine({ url })("status", "--json")
      expect(code).toBe(9)
      expect(JSON.parse(stdout)).toMatchObject({ exitCode: 9, services: [{ ok: false }, { ok: false }, { ok: false }] })
      expect(stdout + stderr).not.toContain("hidden-word")
    })
  )

  it.live("checks the shipped files without a database", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* commandLine({ url: Redacted.make("postgresql://stranger@127.0.0.1:9/none") })(
        "check"
      )
      expect(code).toBe(0)
      expect(stdout.match(/files are valid/g)).toHaveLength(3)
    })
  )
})
