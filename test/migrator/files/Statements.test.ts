import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { vi } from "vitest"
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
    ["only a semicolon", ";", 2, 1, /no statement/]
  ])("with %s is refused at line and column", ([, sql, line, column, problem]) =>
    Effect.gen(function* () {
      const refused = yield* Effect.flip(splitStatements(sectionOf(sql)))
      expect(refused).toMatchObject({ line, column, problem: expect.stringMatching(problem) })
    })
  )

  it.effect.each<[what: string, sql: string, line: number, problem: RegExp]>([
    [
      "the data of a COPY",
      "copy router.t (name) from stdin;\nit's\t1\n\\.\nselect 1;",
      3,
      /COPY|copy … from stdin.*--inserts/
    ],
    ["data of a COPY without an end", "select 1;\ncopy router.t from stdin;\nalpha\t1", 4, /copy … from stdin/],
    ["a COPY without data", "copy router.t (name) from stdin with (format csv)", 3, /copy … from stdin/],
    [
      "\\restrict of pg_dump",
      "-- PostgreSQL database dump\n\\restrict a'b\nselect 1;",
      4,
      /\\restrict is a command of psql.*remove the line.*pg_dump --schema/
    ],
    ["\\i", "\\i other.sql", 3, /put the statements of that file here/],
    ["\\connect", "select 1;\n\\connect other\nselect 1;", 4, /database of its service/],
    ["\\gset", "select 1 as a \\gset\nselect :a", 3, /no variables/],
    ["\\copy", "\\copy router.t from 'x.csv'", 3, /data revision/],
    ["the schema of its service", "create schema router;", 3, /creates the schema router before the first revision/],
    [
      "texts with backslashes",
      "select 1;\nset standard_conforming_strings = off; select 'it\\'s; ok';",
      4,
      /write E'…'/
    ],
    ["a setting of it", "set local standard_conforming_strings to 'off'", 3, /write E'…'/],
    [
      "a call that sets it",
      "select pg_catalog.set_config('standard_conforming_strings', 'off', false)",
      3,
      /write E'…'/
    ],
    ["another encoding", "set names 'latin1'", 3, /client_encoding/],
    ["a blank of Unicode", "select\u00a01 from x", 3, /U\+00A0 is not a blank/],
    ["a byte-order mark in the middle", "select 1;\n\ufeffselect 2", 4, /U\+FEFF/]
  ])("with %s is refused with what to do", ([, sql, line, problem]) =>
    Effect.gen(function* () {
      const refused = yield* Effect.flip(splitStatements(sectionOf(sql)))
      expect({ line: refused.line, problem: refused.problem }).toEqual({
        line,
        problem: expect.stringMatching(problem)
      })
    })
  )

  it.effect("may hold the settings that pg_dump writes, and a COPY to a client or from a file", () =>
    Effect.gen(function* () {
      const statements = yield* splitStatements(
        sectionOf(
          "SET statement_timeout = 0;\nSET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;\n" +
            "SELECT pg_catalog.set_config('search_path', '', false);\ncreate schema if not exists router;\n" +
            "copy router.t to stdout;\ncopy router.t from '/tmp/x';\nselect '\\i x; copy a from stdin';\n" +
            "-- \\i x\ncreate schema other;"
        )
      )
      expect(statements).toHaveLength(9)
    })
  )

  it.scoped("is split with work in proportion to its text", () =>
    Effect.gen(function* () {
      const sql = "insert into router.t (name) values ('é');\n".repeat(2_000)
      const decoded = vi.spyOn(Buffer.prototype, "toString")
      yield* Effect.addFinalizer(() => Effect.sync(() => decoded.mockRestore()))
      const statements = yield* splitStatements(sectionOf(sql))
      const characters = decoded.mock.results.map(({ value }) => String(value)).join("").length
      expect(statements.map(({ line }) => line)).toEqual(statements.map((_, index) => index + 3))
      expect(characters).toBeLessThan(2 * sql.length)
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
