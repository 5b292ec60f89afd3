import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { dataMigrationsOf, dataRevision } from "../../support/migrator/DataMigrations.ts"
import { ask, migrateRouter, revision, tablesOf } from "../../support/migrator/Fixture.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

/** Makes a function that releases the lock. A revision that only calls it does not show that. */
const releasing = revision(
  "create table router.a ();\ncreate function router.release() returns void language sql as 'select pg_catalog.pg_advisory_unlock_all()';"
)
const unlocks = "select router.release();"
const alone = " transaction:false"
const rows = "select revision, state, steps_done, steps_begun from router.schema_history where revision > 1 order by 1"

describe("a run that has lost its lock runs nothing more:", () => {
  const cases: ReadonlyArray<[what: string, files: Readonly<Record<string, string>>, left: ReadonlyArray<object>]> = [
    [
      "no transactional statement of a revision without a transaction",
      { "router/0002_b.sql": revision(`${unlocks}\ncreate table router.b ();`, "select 1;", alone) },
      [{ revision: 2, state: "applying", steps_done: 0, steps_begun: 0 }]
    ],
    [
      "no statement that cannot be in one",
      { "router/0002_b.sql": revision(`${unlocks}\nvacuum router.a;`, "select 1;", alone) },
      [{ revision: 2, state: "applying", steps_done: 0, steps_begun: 0 }]
    ],
    [
      "no record of the statement",
      { "router/0002_b.sql": revision(unlocks, "select 1;", alone) },
      [{ revision: 2, state: "applying", steps_done: 0, steps_begun: 0 }]
    ],
    [
      "no record of the revision, nor a later one without a transaction",
      {
        "router/0002_b.sql": revision(unlocks),
        "router/0003_c.sql": revision("create table router.b ();", "select 1;", alone)
      },
      []
    ],
    [
      "no record of the revision, nor a later one in a transaction",
      { "router/0002_b.sql": revision(unlocks), "router/0003_c.sql": revision("create table router.b ();") },
      []
    ],
    [
      "no batch",
      {
        "router/0002_b.ts": dataRevision(
          `up: Effect.flatMap(sql, (db) => db\`select router.release()\`.pipe(
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
        const migrations = yield* dataMigrationsOf({ "router/0001_a.sql": releasing, ...files })
        const failure = yield* Effect.flip(migrateRouter(url, migrations))
        expect(failure.message).toMatch(/the revision released (it|the migration lock)/)
        expect(yield* tablesOf(url, "router")).toEqual(["a"])
        expect(yield* ask(url, rows)).toEqual(left)
      })
    )
  }
})
