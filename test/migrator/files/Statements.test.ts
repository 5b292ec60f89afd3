import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { parseRevision } from "../../../src/migrator/files/RevisionFile.ts"
import { splitStatements } from "../../../src/migrator/files/Statements.ts"

const sectionOf = (sql: string) =>
  Either.getOrThrow(parseRevision("router", "0001_x.sql", `-- é\n-- migrate:up\n${sql}\n-- migrate:down\nselect 1;\n`))
    .up

describe("a section", () => {
  it.effect("is split as PostgreSQL's parser splits it, each statement with its line", () =>
    Effect.gen(function* () {
      const statements = yield* splitStatements(
        sectionOf(
          "-- prose; with a semicolon\nselect 'ü;ü';\n\n/* more; */ create function f() returns void language plpgsql as $$\n" +
            "begin\n  perform 1; perform 2;\nend $$;\n\n  select 3 -- last\n"
        )
      )
      expect(statements).toEqual([
        { text: "select 'ü;ü'", line: 4 },
        { text: expect.stringMatching(/^create function .*perform 2;\nend \$\$$/s), line: 6 },
        { text: expect.stringMatching(/^select 3/), line: 11 }
      ])
    })
  )

  it.effect.each<[what: string, sql: string, line: number, column: number, problem: RegExp]>([
    ["a syntax error", "select 'éé';\n  selct 2;", 4, 3, /syntax error at or near "selct"/],
    ["a string without an end", "select 1;\nselect 'x", 4, 8, /unterminated/],
    ["its own transaction", "select 1;\ncommit;", 4, 1, /opens and ends the transaction/],
    ["only a block comment", "/* nothing */", 2, 1, /no statement/]
  ])("with %s is refused at line and column", ([, sql, line, column, problem]) =>
    Effect.gen(function* () {
      const refused = yield* Effect.flip(splitStatements(sectionOf(sql)))
      expect(refused).toMatchObject({ line, column, problem: expect.stringMatching(problem) })
    })
  )

  it.effect("with transaction:false gets a message that does not suggest transaction:false", () =>
    Effect.gen(function* () {
      const refused = yield* Effect.flip(splitStatements({ ...sectionOf("begin;"), transaction: false }))
      expect(refused.problem).toBe("with transaction:false each statement commits by itself; remove this statement")
    })
  )

  it.effect.prop(
    "keeps every statement whole, whatever characters surround it",
    [FastCheck.array(FastCheck.fullUnicodeString({ maxLength: 12 }), { minLength: 1, maxLength: 6 })],
    ([texts]) =>
      Effect.gen(function* () {
        const clean = texts.map((text) => text.replace(/[\0\r\n']/g, "").replaceAll("migrate", ""))
        const written = clean.map((text) => `select $q$${text.replaceAll("$", "")}$q$`)
        const statements = yield* splitStatements(
          sectionOf(written.map((text, i) => `-- ${clean[i]}\n${text};`).join("\n"))
        )
        expect(statements.map(({ text }) => text)).toEqual(written)
        expect(statements.map(({ line }) => line)).toEqual(written.map((_, i) => 4 + 2 * i))
      })
  )
})
