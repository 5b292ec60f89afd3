import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { headOf, loadRevisionSet, makeRevisionSet } from "../../../src/migrator/files/RevisionSet.ts"
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

  it.effect("whose folder is missing is refused, with the folder and what to do", () =>
    Effect.gen(function* () {
      const refused = yield* Effect.flip(loadRevisionSet({ name: "guardian", directory: "missing" }))
      expect(refused.exitCode).toBe(5)
      expect(refused.message).toMatch(
        /migrations\/missing: the folder cannot be read \(ENOENT.*\); restore it from version control/
      )
    })
  )

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

  it.each<[tool: string, files: Readonly<Record<string, string>>, remedy: RegExp]>([
    ["dbmate", { "20230101120000_a.sql": "-- migrate:up\nselect 1;\n\n-- migrate:down\n" }, /irreversible/],
    [
      "goose",
      { "00001_a.sql": "-- +goose Up\nselect 1;", "0002_b.sql": "-- +goose NO TRANSACTION\n-- +goose Up\n" },
      /StatementBegin/
    ],
    ["golang-migrate or sqlx", { "000001_a.up.sql": "select 1;", "000001_a.down.sql": "" }, /pair/],
    ["Flyway", { "V1__a.sql": "", "V1.2__B.sql": "", "U1__a.sql": "", "R__view.sql": "" }, /U files/],
    ["Sqitch", { "sqitch.plan": "", deploy: "", revert: "" }, /sqitch\.plan/],
    ["Sqitch", { "a.sql": "-- Deploy flipr:a to pg\nbegin;\ncommit;" }, /begin, commit/],
    ["sql-migrate", { "1_a.sql": "-- +migrate Up\n" }, /\+migrate/],
    ["Liquibase", { "a.sql": "--liquibase formatted sql\n--changeset a:1\n" }, /migrate:up/],
    ["tern", { "001_a.sql": "select 1;\n---- create above / drop below ----\nselect 2;" }, /below/],
    ["Drizzle", { "0000_a.sql": "select 1;\n--> statement-breakpoint\nselect 2;" }, /breakpoint/],
    ["Diesel", { "2023-01-01-120000_a": "" }, /up\.sql/],
    ["Prisma", { "20230101120000_init": "", "migration_lock.toml": "" }, /migration\.sql/],
    ["Alembic", { "0a1b2c3d4e5f_a.py": "", versions: "" }, /--sql/],
    ["Rails", { "20230101120000_a.rb": "" }, /SQL/]
  ])("of %s is recognised, with one sentence on what to do", (tool, files, remedy) => {
    const sources = Object.entries({ "0001_a.sql": revision("select 1;"), ...files })
    const refused = Either.flip(
      makeRevisionSet(
        "guardian",
        "migrations/guardian",
        sources.map(([file, content]) => ({ file: `migrations/guardian/${file}`, content }))
      )
    ).pipe(Either.getOrThrow)
    expect(refused.exitCode).toBe(5)
    expect(refused.problems).toEqual([
      { file: "migrations/guardian", line: 0, problem: expect.stringMatching(`this looks like ${tool}`) }
    ])
    expect(refused.message).toMatch(remedy)
  })
})
