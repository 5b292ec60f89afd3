import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { commandLine } from "../../support/migrator/CommandLine.ts"
import { ask, migrationsOf, revision, tableA, tablesOf, write } from "../../support/migrator/Fixture.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const lockKey = "hashtextextended('migrate:router:router', 0)"

describe("--dry-run", { timeout: 30_000 }, () => {
  it.scopedLive("shows every statement that upgrade would run, runs none of them and waits for no lock", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": `${tableA}-- migrate:verify\nselect true;\n`,
        "router/0002_index.sql": revision(
          "create index concurrently a_id on router.a (id); -- the last\n",
          "drop index router.a_id;",
          " transaction:false phase:contract"
        )
      })
      const migrate = commandLine({ url, migrations })
      const holder = yield* connect({ url, applicationName: "holder" })
      yield* holder.query(`select pg_advisory_lock(${lockKey})`)

      const shown = yield* migrate("--dry-run", "--service", "router", "--lock-wait", "0s")
      expect(shown).toMatchObject({ code: 0, stderr: "" })
      expect(shown.stdout).toContain("router would go from base to 0002_index")
      expect(shown.stdout).toContain("the history tables would be created")
      expect(shown.stdout).toContain("create table router.a (id int primary key);\n-- then, read-only:\nselect true;")
      expect(shown.stdout).toContain(
        "-- up 0002_index (contract, without a transaction, waits for locks without a limit)"
      )
      expect(yield* ask(url, "select to_regnamespace('router') as made")).toEqual([{ made: null }])

      const { stdout } = yield* migrate(
        "upgrade",
        "--dry-run",
        "--json",
        "--service",
        "router",
        "1",
        "--lock-timeout",
        "7s"
      )
      expect(JSON.parse(stdout)).toMatchObject({
        command: "upgrade",
        exitCode: 0,
        services: [
          {
            result: {
              from: "base",
              to: "0001_a",
              prepares: true,
              steps: [{ revision: "0001_a", transaction: true, lockTimeout: "7s", statements: [{ line: 2 }] }]
            }
          }
        ]
      })
    })
  )

  it.scopedLive("reports what a downgrade would destroy, and that a data revision's work is not known", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA })
      const migrate = commandLine({ url, migrations })
      yield* migrate("--service", "router")
      yield* ask(url, "insert into router.a values (1), (2)")
      yield* write(migrations, { "router/0002_fill.ts": "// never run here\nthrow new Error('imported')\n" })
      const back = yield* migrate("downgrade", "base", "--dry-run", "--service", "router")
      expect(back.code).toBe(0)
      expect(back.stdout).toContain("refused without --allow-data-loss: 0001_a: table router.a: 2 rows")
      expect(back.stdout).toContain("drop table router.a;")
      const on = yield* migrate("--dry-run", "--service", "router")
      expect(on.stdout).toContain("0002_fill.ts\n-- a data revision: its statements are known only while it runs")
      expect(yield* tablesOf(url, "router")).toEqual(["a"])
    })
  )

  it.scopedLive("refuses commands without a preview, and whatever the run would refuse", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA })
      const migrate = commandLine({ url, migrations })
      yield* migrate("--service", "router")
      const codes = yield* Effect.forEach(
        [["stamp", "0", "--reason", "x"], ["test"], ["upgrade", "7"], ["redo"], ["new", "b"]],
        (args) => Effect.map(migrate(...args, "--dry-run", "--service", "router"), ({ code }) => `${args[0]} ${code}`)
      )
      expect(codes).toEqual(["stamp 2", "test 2", "upgrade 8", "redo 0", "new 0"])
      expect((yield* migrate("current", "--check-head", "--service", "router")).code).toBe(0)
      expect((yield* migrate("history", "--events", "--service", "router")).stdout).not.toContain("reverted")
    })
  )
})
