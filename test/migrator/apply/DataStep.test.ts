import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Target } from "../../../src/migrator/plan/Target.ts"
import { dataMigrationsOf, dataRevision } from "../../support/migrator/DataMigrations.ts"
import { ask, eventsOf, migrateRouter, revision, tablesOf, write } from "../../support/migrator/Fixture.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const items = revision(
  "create table router.item (id int primary key, done boolean);\ninsert into router.item select generate_series(1, 25);",
  "drop table router.item;"
)
const allowed = { allowDataLoss: true }
const doneCount = "select count(*)::int as done from router.item where done"
const back = (count: number) => Target.Back({ count })

describe("a data revision", () => {
  it.scopedLive(
    "runs in the transaction that records it, on the session that holds the lock, and is reverted by its file",
    () =>
      Effect.gen(function* () {
        const url = yield* freshDatabase
        const migrations = yield* dataMigrationsOf({
          "router/0001_item.sql": items,
          "router/0002_mark.ts": dataRevision(`
          up: Effect.gen(function* () {
            const db = yield* sql
            yield* db\`update router.item set done = true where id in \${db.in([1, 2, 3])}\`
            const rows = yield* db\`select count(*)::int as locks from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'\`
            yield* db\`create table router.seen (locks int, xid text)\`
            yield* db\`insert into router.seen values (\${rows[0].locks}, pg_current_xact_id()::text)\`
          }),
          down: Effect.flatMap(sql, (db) => db\`update router.item set done = null\`.pipe(Effect.zipRight(db\`drop table router.seen\`)))
        `)
        })
        expect((yield* migrateRouter(url, migrations)).to).toBe("0002_mark")
        const history =
          "select xmin::text as xid, kind, down_script, state from router.schema_history where revision = 2"
        const [row] = yield* ask(url, history)
        expect(row).toMatchObject({ kind: "ts", down_script: null, state: "applied" })
        expect(yield* ask(url, "select locks, xid from router.seen")).toEqual([{ locks: 1, xid: row?.["xid"] }])
        yield* migrateRouter(url, migrations, back(1), allowed)
        expect(yield* ask(url, doneCount)).toEqual([{ done: 0 }])
        expect((yield* eventsOf(url)).slice(-2)).toEqual(["applied mark", "reverted mark"])
      })
  )

  it.scopedLive("that fails is rolled back whole, and the failure names file, SQLSTATE and statement", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const failing = (work: string) =>
        dataRevision(`
          up: Effect.flatMap(sql, (db) => db\`create table router.half ()\`.pipe(Effect.zipRight(${work}))),
          irreversible: "a test"
        `)
      const migrations = yield* dataMigrationsOf({
        "router/0001_item.sql": items,
        "router/0002_sqlstate.ts": failing("db`select missing from router.item`")
      })
      const failure = yield* Effect.flip(migrateRouter(url, migrations))
      expect(failure).toMatchObject({ _tag: "RevisionFailed", exitCode: 1, revision: "0002_sqlstate" })
      expect(failure.message).toMatch(/0002_sqlstate\.ts:1: column "missing" does not exist \(SQLSTATE 42703\)/)
      expect(failure.message).toContain("statement: select missing from router.item")
      for (const [name, work, told] of [
        [
          "typed",
          'Effect.fail(new Error("no such customer"))',
          /no such customer \(thrown by the revision's own code\)/
        ],
        ["defect", 'Effect.sync(() => { throw new TypeError("not a function") })', /TypeError: not a function/],
        ["wrapped", "db`select 1 / 0`.pipe(Effect.mapError((cause) => ({ _tag: 'Mine', cause })))", /SQLSTATE 22012/]
      ] as const) {
        const other = yield* dataMigrationsOf({
          "router/0001_item.sql": items,
          [`router/0002_${name}.ts`]: failing(work)
        })
        expect((yield* Effect.flip(migrateRouter(url, other))).message).toMatch(told)
      }
      expect(yield* tablesOf(url, "router")).toEqual(["item"])
      expect((yield* eventsOf(url)).slice(2)).toEqual(
        ["sqlstate", "typed", "defect", "wrapped"].map((name) => `failed ${name}`)
      )
    })
  )

  it.scopedLive("may use withTransaction as a savepoint: what it rolls back is gone, the rest is kept", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* dataMigrationsOf({
        "router/0001_item.sql": items,
        "router/0002_nested.ts": dataRevision(`
          up: Effect.gen(function* () {
            const db = yield* sql
            yield* db\`update router.item set done = true where id = 1\`
            yield* db.withTransaction(db\`update router.item set done = true where id = 2\`)
            yield* db.withTransaction(
              db\`update router.item set done = true where id = 3\`.pipe(Effect.zipRight(db\`select 1 / 0\`))
            ).pipe(Effect.ignore)
          }),
          irreversible: "a test"
        `)
      })
      yield* migrateRouter(url, migrations)
      expect(yield* ask(url, "select id from router.item where done order by 1")).toEqual([{ id: 1 }, { id: 2 }])
      const refusal = yield* Effect.flip(migrateRouter(url, migrations, back(1), allowed))
      expect(refusal).toMatchObject({ _tag: "RevisionIrreversible", exitCode: 10 })
      expect(refusal.message).toContain("0002_nested (a test)")
    })
  )

  it.scopedLive("is not reverted without its file or with another one", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const mark = dataRevision("up: Effect.void, down: Effect.void")
      const migrations = yield* dataMigrationsOf({ "router/0001_item.sql": items, "router/0002_mark.ts": mark })
      yield* migrateRouter(url, migrations)
      const without = yield* dataMigrationsOf({ "router/0001_item.sql": items })
      const missing = yield* Effect.flip(migrateRouter(url, without, back(2), allowed))
      expect(missing).toMatchObject({ _tag: "DataRevisionMissing", exitCode: 10, revisions: ["0002_mark"] })
      expect(yield* tablesOf(url, "router")).toEqual(["item"])
      yield* write(migrations, { "router/0002_mark.ts": `${mark}// edited\n` })
      const edited = yield* Effect.flip(migrateRouter(url, migrations, back(1), allowed))
      expect(edited).toMatchObject({ _tag: "ChecksumMismatch", exitCode: 4, files: [{ part: "file" }] })
    })
  )

  it.scopedLive("that exports no data revision is refused before anything runs", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const cases = [
        ["broken", "import nothing from '../run/nowhere.ts'\nexport const up = nothing\n", /cannot be imported/],
        ["empty", "export const note = 1\n", /`up` is not an Effect/],
        ["neither", "import * as E from 'effect/Effect'\nexport const up = E.void\n", /neither a `down`/],
        [
          "mute",
          "import * as E from 'effect/Effect'\nexport const up = E.void\nexport const irreversible = ' '\n",
          /state a reason/
        ]
      ] as const
      for (const [name, text, told] of cases) {
        const migrations = yield* dataMigrationsOf({ "router/0001_item.sql": items, [`router/0002_${name}.ts`]: text })
        const refusal = yield* Effect.flip(migrateRouter(url, migrations))
        expect(refusal).toMatchObject({ _tag: "DataRevisionUnreadable", exitCode: 5 })
        expect(refusal.message).toMatch(told)
      }
      expect(yield* tablesOf(url, "router")).toEqual([])
    })
  )
})
