import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { makeNoticeLog, withNotices } from "../../../src/migrator/apply/Notices.ts"
import { serverNotice } from "../../../src/platform/postgres/ServerNotice.ts"
import { commandLine } from "../../support/migrator/CommandLine.ts"
import { migrateRouter, migrationsOf, revision, tableA } from "../../support/migrator/Fixture.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const longName = "n".repeat(70)

describe("a revision during which the server says something", () => {
  it.scopedLive("has it in its result, each with its line, and in --json", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": tableA,
        "router/0002_says.sql": revision(
          "select 1;\ndo $$ begin\n  raise notice 'a';\n  raise warning 'b' using hint = 'c';\nend $$;\n" +
            `create table if not exists router.a (other int); create table router.${longName} ();\n` +
            "create function router.late() returns trigger language plpgsql as $$ begin raise warning 'd'; return null; end $$;\n" +
            "create constraint trigger late after insert on router.a deferrable initially deferred for each row execute function router.late();\n" +
            "insert into router.a values (1);\nselect 2;"
        ),
        "router/0003_alone.sql": revision(
          "select 1;\nset local lock_timeout = '1s';",
          "select 1;",
          " transaction:false"
        )
      })
      const outcome = yield* migrateRouter(url, migrations)
      expect(
        outcome.notices.map(({ line, message, revision, severity }) => [revision, line, severity, message])
      ).toEqual([
        ["0002_says", 4, "NOTICE", "a"],
        ["0002_says", 5, "WARNING", "b"],
        ["0002_says", 7, "NOTICE", 'relation "a" already exists, skipping'],
        ["0002_says", 7, "NOTICE", expect.stringContaining("will be truncated")],
        ["0002_says", 1, "WARNING", "d"],
        ["0003_alone", 3, "WARNING", "SET LOCAL can only be used in transaction blocks"]
      ])
      expect(outcome.notices[1]).toMatchObject({ direction: "up", hint: "c", sqlstate: "01000" })

      const failing = yield* migrationsOf({
        "router/0001_a.sql": tableA,
        "router/0002_says.sql": revision("do $$ begin raise notice 'before'; end $$;\nselect missing;")
      })
      const json = yield* commandLine({ url: yield* freshDatabase, migrations: failing })(
        "--json",
        "--service",
        "router"
      )
      expect(JSON.parse(json.stdout).services[0].error).toMatchObject({
        line: 3,
        notices: [{ line: 2, message: "before", severity: "NOTICE" }]
      })
    })
  )

  const logged = (verbose: boolean, count = 1) =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel.label} ${message}`))
      const layer = Layer.merge(Logger.replace(Logger.defaultLogger, logger), Logger.minimumLogLevel(LogLevel.Info))
      yield* Effect.gen(function* () {
        const log = yield* makeNoticeLog
        const options = { revision: "0001_a", direction: "up", file: "f.sql", line: 1, log, verbose } as const
        yield* withNotices(options, (noticed) =>
          Effect.sync(() => {
            for (let number = 0; number < count; number++) {
              for (const severity of ["NOTICE", "WARNING"]) {
                noticed(
                  { text: "select 1", line: 7 },
                  serverNotice({ severity, message: "m", code: "00000", hint: "h" })
                )
              }
            }
          })
        )
      }).pipe(Effect.scoped, Effect.provide(layer))
      return lines
    })

  it.effect("logs warnings always, and notices with --verbose", () =>
    Effect.gen(function* () {
      expect(yield* logged(false)).toEqual(["WARN f.sql:7: WARNING: m; hint: h"])
      expect(yield* logged(true)).toEqual(["INFO f.sql:7: NOTICE: m; hint: h", "WARN f.sql:7: WARNING: m; hint: h"])
    })
  )

  it.effect("logs at most a thousand of a run, and that there are more", () =>
    Effect.gen(function* () {
      const lines = yield* logged(true, 600)
      expect(lines).toHaveLength(1_001)
      expect(lines.at(-1)).toBe("WARN f.sql: more than 1000 notices; the others are not shown")
    })
  )

  it.each([
    ["WARNING", "25P01", true],
    ["WARNUNG", "01000", true],
    ["NOTICE", "42P07", false],
    ["HINWEIS", "42P07", false],
    ["NOTICE", "01000", false],
    ["INFO", "00000", false]
  ])("a %s of SQLSTATE %s is a warning: %s", (severity, code, isWarning) => {
    expect(serverNotice({ severity, code }).isWarning).toBe(isWarning)
  })
})
