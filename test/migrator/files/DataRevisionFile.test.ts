import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import { makeRevisionSet } from "../../../src/migrator/files/RevisionSet.ts"

const file = "migrations/router/0001_backfill.ts"
const make = (content: string, name = file) =>
  makeRevisionSet("router", "migrations/router", [{ file: name, content, path: "/elsewhere/0001_backfill.ts" }])
const read = (content: string) => Either.getOrThrow(make(content)).revisions[0]

describe("the file of a data revision", () => {
  it("is parsed without running: the checksum covers all of it, and its marker line has the options", () => {
    const revision = read(
      "// why\n// migrate:up phase:contract transaction:false lock_timeout:2s\nthrow new Error('run')\n"
    )
    expect(revision).toMatchObject({
      kind: "ts",
      phase: "contract",
      file,
      path: "/elsewhere/0001_backfill.ts",
      up: { line: 2, transaction: false },
      reversal: { _tag: "Module" }
    })
    expect(read("export {}\n")).toMatchObject({ phase: "expand", up: { line: 1, transaction: true } })
  })

  it("has a checksum of all its text except the line ends", () => {
    const [lf, crlf, more] = ["export {}\n", "\uFEFFexport {}\r\n", "export {} \n"].map(
      (text) => read(text)?.up.checksum
    )
    expect(crlf).toBe(lf)
    expect(more).not.toBe(lf)
  })

  it.each<[what: string, content: string, line: number, problem: RegExp]>([
    ["an unknown option", "// migrate:up fast:true\n", 1, /unknown option "fast:true"/],
    ["a second marker", "// migrate:up\n\n// migrate:up\n", 3, /a second/],
    ["a marker of SQL files", "export {}\n// migrate:down\n", 2, /the only marker is/],
    ["a marker that does not start its line", "  // migrate:up transaction:false\n", 1, /the only marker is/],
    ["nothing in it", "\n", 0, /is empty/]
  ])("with %s is refused at its line", (_, content, line, problem) => {
    const { problems } = Either.getOrThrow(Either.flip(make(content)))
    expect(problems).toContainEqual({ file, line, problem: expect.stringMatching(problem) })
  })

  it("has a number like an SQL file", () => {
    const both = makeRevisionSet("router", "migrations/router", [
      { file, content: "export {}\n" },
      { file: "migrations/router/0001_a.sql", content: "-- migrate:up\nselect 1;\n-- migrate:down\nselect 1;\n" }
    ])
    expect(Either.getOrThrow(Either.flip(both)).message).toMatch(/renumber 0001_a \(or 0001_backfill\)/)
  })
})
