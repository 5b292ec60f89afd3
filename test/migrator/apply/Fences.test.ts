import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { dataMigrationsOf, dataRevision } from "../../support/migrator/DataMigrations.ts"
import { ask, migrateRouter, revision, tableA, tablesOf } from "../../support/migrator/Fixture.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

/** A revision that releases the lock, as an administrator or a pooler may. */
const unlocks = "select pg_catalog.pg_advisory_unlock_all();"
const alone = " transaction:false"
const rows = "select revision, state, steps_done, steps_begun from router.schema_history where revision > 1 order by 1"

describe("a run that has lost its lock runs nothing more:", () => {
  const cases: ReadonlyArray<[what: string, files: Readonly<Record<string, string>>, left: ReadonlyArray<object>]> = [
    [
      "no transactional statement of a revision without a transaction",
      { "router/0002_b.sql": revision(`${unlocks}\ncreate table router.b ();`, "select 1;", alone) },
      [{ revision: 2, state: "applying", steps_done: 1, steps_begun: 1 }]
    ],
    [
      "no statement that cannot be in one",
      { "router/0002_b.sql": revision(`${unlocks}\nvacuum router.a;`, "select 1;", alone) },
      [{ revision: 2, state: "applying", steps_done: 1, steps_begun: 1 }]
    ],
    [
      "no record of its end",
      { "router/0002_b.sql": revision(unlocks, "select 1;", alone) },
      [{ revision: 2, state: "applying", steps_done: 1, steps_begun: 1 }]
    ],
    [
      "no record of its beginning",
      {
        "router/0002_b.sql": revision(unlocks),
        "router/0003_c.sql": revision("create table router.b ();", "select 1;", alone)
      },
      [{ revision: 2, state: "applied", steps_done: 1, steps_begun: 0 }]
    ],
    [
      "no revision in a transaction",
      { "router/0002_b.sql": revision(unlocks), "router/0003_c.sql": revision("create table router.b ();") },
      [{ revision: 2, state: "applied", steps_done: 1, steps_begun: 0 }]
    ],
    [
      "no batch",
      {
        "router/0002_b.ts": dataRevision(
          `up: Effect.flatMap(sql, (db) => db\`select pg_catalog.pg_advisory_unlock_all()\`.pipe(
             Effect.zipRight(untilNoRowIsLeft({
               name: "rest",
               limit: "5 seconds",
               batch: Effect.as(db\`create table router.b ()\`, 0)
             })))),
           irreversible: "a test"`,
          "// migrate:up transaction:false"
        )
      },
      [{ revision: 2, state: "applying", steps_done: 0, steps_begun: 0 }]
    ]
  ]
  for (const [what, files, left] of cases) {
    it.scopedLive(what, () =>
      Effect.gen(function* () {
        const url = yield* freshDatabase
        const migrations = yield* dataMigrationsOf({ "router/0001_a.sql": tableA, ...files })
        const failure = yield* Effect.flip(migrateRouter(url, migrations))
        expect({ tag: failure._tag, message: failure.message }).toMatchObject({ tag: "LockLost" })
        expect(yield* tablesOf(url, "router")).toEqual(["a"])
        expect(yield* ask(url, rows)).toEqual(left)
      })
    )
  }
})
