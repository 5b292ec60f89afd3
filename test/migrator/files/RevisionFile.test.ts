import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Option from "effect/Option"
import { parseFileName, parseRevision, parseStoredDown } from "../../../src/migrator/files/RevisionFile.ts"

const file = "migrations/router/0002_add_reason.sql"
const parse = (content: string, path = file) => parseRevision("router", path, content)
const good = "-- why\n\n-- migrate:up\nselect 1;\n\n-- migrate:down\nselect 2;\n"

describe("a revision file", () => {
  it("is parsed into its parts, with their lines", () => {
    const revision = Either.getOrThrow(
      parse(
        "-- why\n-- migrate:up transaction:false phase:contract lock_timeout:2s statement_timeout:5m\nselect 1;\n" +
          "-- migrate:down transaction:false\nselect 2;\n-- migrate:verify\nselect true;\n"
      )
    )
    expect(revision).toMatchObject({ number: 2, slug: "add_reason", phase: "contract", service: "router", file })
    expect(revision.up).toMatchObject({ line: 2, transaction: false })
    expect(Option.map(revision.up.lockTimeout, Duration.toMillis)).toEqual(Option.some(2_000))
    expect(Option.map(revision.up.statementTimeout, Duration.toMillis)).toEqual(Option.some(300_000))
    expect(revision.reversal).toMatchObject({ _tag: "Down", section: { line: 4, transaction: false } })
    expect(Option.getOrThrow(revision.verify).line).toBe(6)
  })

  it("has its markers in comments of the top level, and only there", () => {
    const body =
      "create function router.f() returns text language sql as $$\n-- migrate:down is below\nselect 1 $$;\n" +
      "/* nested /*\n-- migrate:down\n*/\n-- migrate:verify\n*/\nselect 'a\n-- migrate:down\n', \"\n-- migrate:verify\n\", E'\\'\n-- migrate:down\n';"
    const revision = Either.getOrThrow(parse(`-- migrate:up\n${body}\n-- migrate:down\nselect 2; -- it's\n`))
    expect(revision.up.text).toBe(`-- migrate:up\n${body}`)
    expect(revision.reversal).toMatchObject({ section: { line: 17, text: "-- migrate:down\nselect 2; -- it's" } })
    expect(Option.isNone(revision.verify)).toBe(true)
  })

  it("may begin with comments of any form", () => {
    const licence = "/* Copyright /* nested */\n   don't */\n\n-- why /* not\n"
    const revision = Either.getOrThrow(parse(`${licence}${good}`))
    expect(revision.up).toMatchObject({ line: 7, checksum: Either.getOrThrow(parse(good)).up.checksum })
  })

  it("may be irreversible if it states a reason", () => {
    const revision = Either.getOrThrow(
      parse("-- migrate:up\ndrop table x;\n-- migrate:irreversible the rows are gone\n")
    )
    expect(revision.reversal).toEqual({ _tag: "Irreversible", reason: "the rows are gone" })
  })

  it.each<[what: string, content: string, line: number, problem: RegExp]>([
    ["an unknown marker", `${good}-- migrate:sideways\n`, 8, /unknown marker "migrate:sideways"/],
    ["a marker that does not start its line", `${good}  -- migrate:verify\n`, 8, /start of its line/],
    ["a marker in another case", "--migrate:up\nselect 1;\n", 1, /start of its line/],
    ["an unknown option", good.replace("migrate:up", "migrate:up fast:true"), 3, /unknown option "fast:true"/],
    ["a phase on the way down", good.replace("migrate:down", "migrate:down phase:expand"), 6, /unknown option/],
    ["an option twice", good.replace("migrate:up", "migrate:up phase:expand phase:contract"), 3, /set twice/],
    ["an invalid timeout", good.replace("migrate:up", "migrate:up lock_timeout:soon"), 3, /a duration/],
    ["a transaction that is neither", good.replace("migrate:up", "migrate:up transaction:no"), 3, /transaction:false/],
    ["SQL before the first marker", `create table x ();\n${good}`, 1, /only comments/],
    ["a marker twice", `${good}-- migrate:up\nselect 1;\n`, 8, /a second "migrate:up"/],
    ["no up", "-- migrate:down\nselect 1;\n", 0, /no "-- migrate:up"/],
    ["no down and no reason", "-- migrate:up\nselect 1;\n", 0, /migrate:irreversible <reason>/],
    ["an up without a statement", good.replace("select 1;", "-- nothing"), 3, /no statement/],
    ["no reason", "-- migrate:up\nselect 1;\n-- migrate:irreversible\n", 3, /say why/],
    ["an up of comments only", good.replace("select 1;", "/* select 1; */"), 3, /no statement/],
    ["a NUL character", good.replace("select 2", "select '\0'"), 7, /NUL character/],
    ["an empty down", good.replace("select 2;", ""), 6, /migrate:irreversible <reason>/],
    [
      "a quote that hides the down",
      good.replace("select 1", "select 'it's'").replace("2;", "'2';"),
      6,
      /within the quoted text that begins on line 4/
    ],
    [
      "backslashes in texts",
      good.replace("select 1", "set standard_conforming_strings = off;\nselect 'it\\'s'").replace("2;", "'2';"),
      4,
      /write E'…'/
    ],
    ["both ways", `${good}-- migrate:irreversible no\n`, 8, /exclude each other/]
  ])("with %s is refused at its line", (_, content, line, problem) => {
    const problems = Either.flip(parse(content)).pipe(Either.getOrThrow)
    expect(problems).toContainEqual({ file, line, problem: expect.stringMatching(problem) })
  })

  it.each([
    "2_x.sql",
    "0002-x.sql",
    "0002_X.sql",
    "0002_.sql",
    "0000_x.sql",
    "0002_x.SQL",
    "README.md",
    "0002_x.sql.bak"
  ])("named %s is refused", (name) => {
    expect(Option.isNone(parseFileName(name))).toBe(true)
    expect(Either.isLeft(parse(good, `migrations/router/${name}`))).toBe(true)
  })
})

describe("a checksum", () => {
  const checksums = (content: string) => {
    const { reversal, up } = Either.getOrThrow(parse(content))
    return [up.checksum, reversal._tag === "Down" ? reversal.section.checksum : ""]
  }
  const [up, down] = checksums(good)

  it("does not depend on line ends, or on comments before the up", () => {
    expect(checksums(good.replaceAll("\n", "\r\n"))).toEqual([up, down])
    expect(checksums(`\uFEFF${good}`)).toEqual([up, down])
    expect(checksums(`-- more prose\n${good}`)).toEqual([up, down])
  })

  it("depends on its own part only, including the marker's options", () => {
    expect(checksums(good.replace("select 1", "select 3"))).toEqual([expect.not.stringContaining(up ?? ""), down])
    expect(checksums(good.replace("select 2", "select 3"))).toEqual([up, expect.not.stringContaining(down ?? "")])
    expect(checksums(good.replace("migrate:up", "migrate:up phase:contract"))[0]).not.toBe(up)
  })

  it.prop(
    "is the same for the stored script and the parsed one",
    [FastCheck.string(), FastCheck.boolean()],
    ([text, bare]) => {
      const comment = text.replace(/[\r\n\uFEFF]/g, "").replaceAll("migrate", "")
      const content = `-- migrate:up\nselect 1;\n-- migrate:down${bare ? " transaction:false" : ""}\nselect 2; -- ${comment}\n`
      const { reversal } = Either.getOrThrow(parse(content))
      const section = reversal._tag === "Down" ? reversal.section : undefined
      const stored = Option.getOrThrow(parseStoredDown(section?.text ?? ""))
      expect(stored).toEqual({ ...section, line: 1 })
    }
  )
})
