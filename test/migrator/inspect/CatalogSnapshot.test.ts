import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { compareCatalogs, readCatalog } from "../../../src/migrator/inspect/CatalogSnapshot.ts"
import { showDifference } from "../../../src/migrator/inspect/ShownDifference.ts"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"
import { furniture, relationChanges } from "./CatalogChanges.ts"
import { objectChanges, undone } from "./ObjectChanges.ts"

const changes = [...relationChanges, ...objectChanges]

const numbered = (text: string, number: number): string => text.replaceAll("$", String(number))

/** A database, and the names by which the tables of changes mean its own. */
const opened = Effect.gen(function* () {
  const connection = yield* connect({ url: yield* freshDatabase, applicationName: "gravitas test" })
  const { rows } = yield* connection.query("select current_user as owner, current_database() as database")
  const [owner, database] = [String(rows[0]?.["owner"]), String(rows[0]?.["database"])]
  yield* connection.query("set search_path = ''")
  const run = (texts: ReadonlyArray<string>) =>
    connection.query(texts.map((text, number) => numbered(text, number).replaceAll("DATABASE", database)).join(";\n"))
  /** The lines in which the catalog after the texts differs, without the owner's own privileges. */
  const linesAfter = (texts: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const before = yield* readCatalog(connection)
      yield* run(texts)
      return compareCatalogs(before, yield* readCatalog(connection))
        .map((one) => (showDifference(one).split("\n")[0] ?? "").replace(`of ${owner}`, "of OWNER"))
        .filter((line) => !/^. privileges of OWNER /.test(line))
        .sort()
    })
  return { connection, run, linesAfter }
})

describe("a snapshot of the catalog", { timeout: 60_000 }, () => {
  it.scopedLive("shows a change of each kind of object and of each of its properties", () =>
    Effect.gen(function* () {
      const { linesAfter, run } = yield* opened
      yield* run(changes.map(([before]) => `${furniture};${before}`))
      const expected = changes.flatMap(([, , lines], number) => lines.map((line) => numbered(line, number))).sort()
      expect(yield* linesAfter(changes.map(([, change]) => change))).toEqual(expected)
    })
  )

  it.scopedLive("is the same after a grant and its opposite, for every kind of object with privileges", () =>
    Effect.gen(function* () {
      const { linesAfter, run } = yield* opened
      yield* run([...undone.map(() => furniture), "select lo_create(4711)"])
      expect(yield* linesAfter(undone)).toEqual([])
    })
  )

  it.scopedLive("hides the values of a user mapping, which may be secrets", () =>
    Effect.gen(function* () {
      const { connection } = yield* opened
      yield* connection.query(
        "create foreign data wrapper w; create server s foreign data wrapper w; " +
          "create user mapping for public server s options (user 'bob', password 'hunter2')"
      )
      expect((yield* readCatalog(connection)).get("user mapping public on server s")).toBe("password, user=bob")
    })
  )

  it.scopedLive("shows what the databases of a server share, if asked for", () =>
    Effect.gen(function* () {
      const { connection } = yield* opened
      yield* connection.query("begin")
      const before = yield* readCatalog(connection, "server")
      yield* connection.query(
        "create role shared_one; create role shared_two in role shared_one; alter role shared_two set work_mem = '1MB'; " +
          "comment on role shared_one is 'who'"
      )
      const own = compareCatalogs(before, yield* readCatalog(connection, "server"))
        .map(({ object }) => object)
        .filter((object) => object.includes("shared_"))
      yield* connection.query("rollback")
      expect(own).toEqual([
        "comment on role shared_one",
        expect.stringMatching(/^membership of shared_two in shared_one by /),
        "role shared_one",
        "role shared_two",
        "settings of role shared_two"
      ])
    })
  )

  it.scopedLive("is the same for two databases with the same schema", () =>
    Effect.gen(function* () {
      const read = Effect.gen(function* () {
        const { connection } = yield* opened
        yield* connection.query(
          "create schema app; create table app.a (id serial primary key, at timestamptz default now())"
        )
        return yield* readCatalog(connection)
      })
      const [one, other] = [yield* read, yield* read]
      expect(one.size).toBeGreaterThan(5)
      expect(compareCatalogs(one, other)).toEqual([])
    })
  )
})
