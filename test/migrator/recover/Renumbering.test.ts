import { readdir } from "node:fs/promises"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { renumber, renumbering } from "../../../src/migrator/recover/Renumbering.ts"
import { migrateRouter, migrationsOf, revision, tableA, tableB, write } from "../../support/migrator/Fixture.ts"
import { onRouter } from "../../support/migrator/OnRouter.ts"
import { router } from "../../support/migrator/Services.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

describe("the number that a late revision gets", () => {
  const files = (names: string) =>
    names.split(" ").map((name) => {
      const [number = "", slug = ""] = name.split("_")
      return { number: Number(number), slug, kind: "sql" as const }
    })
  const history = (names: string) =>
    names
      .split(" ")
      .filter((name) => name !== "")
      .map((name) => ({ revision: Number(name.split("_")[0]), slug: name.split("_")[1] ?? "" }))

  it.each<[what: string, files: string, history: string, name: string, expected: number | RegExp]>([
    ["a number used twice, applied here", "1_a 2_b 2_late", "1_a 2_b", "0002_late", 3],
    ["a number used twice, nothing applied", "1_a 2_b 2_late", "", "0002_late", 3],
    ["a number used twice, with more after it", "1_a 2_b 2_late 3_c", "1_a 2_b 3_c", "0002_late", 4],
    ["a number of another applied revision whose file is missing", "1_a 2_late", "1_a 2_b", "0002_late", 3],
    ["a number below what is applied", "1_a 2_late 3_c", "1_a 3_c", "2", 4],
    ["a number after a gap", "1_a 3_c", "1_a", "3", 2],
    [
      "a revision that is applied",
      "1_a 2_b 2_late",
      "1_a 2_b",
      "0002_b",
      /is applied in this database, so it keeps its number/
    ],
    ["a file that is in place", "1_a 2_b", "1_a", "0002_b", /already has a number of its own/],
    ["a number that two files have", "1_a 2_b 2_c", "1_a", "2", /name one of them in full/],
    ["no file", "1_a", "", "0007_x", /no file of a revision 0007_x/]
  ])("is right for %s", (_, here, applied, name, expected) => {
    const decided = renumbering("router", files(here), history(applied), name)
    if (typeof expected === "number") expect(Either.getOrThrow(decided).number).toBe(expected)
    else expect(Either.getOrThrow(Either.flip(decided)).message).toMatch(expected)
  })
})

describe("renumber", () => {
  it.scopedLive("renames the late file, so that the next upgrade applies both", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA, "router/0002_b.sql": tableB })
      yield* migrateRouter(url, migrations)
      yield* write(migrations, { "router/0002_late.sql": revision("create table router.late ();") })
      const refusal = yield* Effect.flip(migrateRouter(url, migrations))
      expect(refusal).toMatchObject({ _tag: "RevisionSetInvalid", exitCode: 5 })
      expect(refusal.message).toContain("pnpm migrate --service router renumber 0002_late")
      expect(yield* Effect.flip(renumber(router, "0002_b").pipe(onRouter(url, migrations)))).toMatchObject({
        _tag: "RenumberRefused",
        exitCode: 10
      })
      expect(yield* renumber(router, "0002_late").pipe(onRouter(url, migrations))).toMatchObject({
        from: "0002_late",
        to: "0003_late",
        left: null
      })
      expect((yield* Effect.promise(() => readdir(join(migrations, "router")))).sort()).toEqual([
        "0001_a.sql",
        "0002_b.sql",
        "0003_late.sql"
      ])
      expect((yield* migrateRouter(url, migrations)).to).toBe("0003_late")
    })
  )
})
