import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import { headOf, makeRevisionSet } from "../../../src/migrator/files/RevisionSet.ts"
import { revision } from "../../support/migrator/Fixture.ts"

const make = (...names: ReadonlyArray<string>) =>
  makeRevisionSet(
    "guardian",
    "migrations/guardian",
    names.map((name) => ({ file: name, content: revision("select 1;") }))
  )

describe("a set of revisions", () => {
  it("is ordered by number, whatever the order of its files", () => {
    const set = Either.getOrThrow(
      make("0002_b.sql", "0010_j.sql", "0001_a.sql", ...[3, 4, 5, 6, 7, 8, 9].map((n) => `000${n}_x.sql`))
    )
    expect(set.revisions.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    expect(headOf(set)).toEqual({ number: 10, name: "0010_j" })
  })

  it.each<[what: string, names: ReadonlyArray<string>, problem: RegExp]>([
    ["no file", [], /migrations\/guardian: the folder has no revision/],
    ["a gap", ["0001_a.sql", "0003_c.sql"], /0003_c\.sql: the revision before it, number 0002, is missing/],
    ["no first revision", ["0002_b.sql"], /number 0001, is missing/],
    [
      "a number that is used twice",
      ["0001_a.sql", "0002_b.sql", "0002_c.sql"],
      /0002_c\.sql: number 2 is taken by 0002_b\.sql/
    ],
    ["an invalid name", ["0001_a.sql", "notes.txt"], /notes\.txt: a revision's file is named NNNN_slug\.sql/]
  ])("with %s is refused, with exit code 5", (_, names, problem) => {
    const refused = Either.flip(make(...names)).pipe(Either.getOrThrow)
    expect(refused.exitCode).toBe(5)
    expect(refused.message).toMatch(problem)
  })
})
