import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { syntaxProblem } from "../../../src/migrator/apply/ServerSyntax.ts"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { commandLine } from "../../support/migrator/CommandLine.ts"
import { migrationsOf, revision, tableA } from "../../support/migrator/Fixture.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

describe("a server that is asked to parse a section", () => {
  it.scopedLive("answers with the line that its grammar refuses, and runs nothing", () =>
    Effect.gen(function* () {
      const connection = yield* connect({ url: yield* freshDatabase, applicationName: "gravitas test" })
      const problem = (text: string) => syntaxProblem(connection, { line: 10, text })
      expect(yield* problem("-- migrate:up\nselect 'é';\ncreate table a ();\nselec 2;\nselect 3")).toEqual(
        Option.some({ line: 13, problem: 'syntax error at or near "selec"' })
      )
      const readable =
        "create table a (b int);; insert into nowhere values (1); vacuum; create index concurrently i on nowhere (a);\n" +
        "do $$ begin; end $$; create function f() returns int begin atomic select 1; end; grant x to y;\n" +
        "create rule r as on insert to t do also (insert into x values (1); delete from y); call p() -- end"
      expect(yield* problem(readable)).toEqual(Option.none())
      expect((yield* connection.query("select to_regclass('public.a') as a")).rows).toEqual([{ a: null }])
    })
  )
})

describe("a file", () => {
  it.scopedLive("with syntax newer than --pg-version is refused by check, which names it", () =>
    Effect.gen(function* () {
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": tableA,
        "router/0002_b.sql": revision("select 1;\nselect * from (select 1);")
      })
      const migrate = commandLine({ url: yield* freshDatabase, migrations })
      expect((yield* migrate("check", "--service", "router")).code).toBe(0)
      const checked = yield* migrate("check", "--service", "router", "--pg-version", "15")
      expect(checked.code).toBe(5)
      expect(checked.stderr).toContain(
        "0002_b.sql:3: PostgreSQL 15 cannot read it: a subquery in FROM without an alias"
      )
      expect((yield* migrate("check", "--service", "router", "--pg-version", "16")).code).toBe(0)
    })
  )

  it.scopedLive("with a syntax error ends check, --dry-run and --sql with exit code 5", () =>
    Effect.gen(function* () {
      const migrations = yield* migrationsOf({ "router/0001_a.sql": revision("selec 1;") })
      const migrate = commandLine({ url: yield* freshDatabase, migrations })
      for (const words of [["check"], ["upgrade", "--dry-run"], ["upgrade", "--sql"]]) {
        const refused = yield* migrate(...words, "--service", "router")
        expect([words, refused.code, refused.stderr]).toEqual([words, 5, expect.stringContaining("0001_a.sql:2")])
      }
    })
  )
})
