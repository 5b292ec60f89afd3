import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Repair, repair } from "../../../src/migrator/recover/Repair.ts"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { dataMigrationsOf, dataRevision } from "../../support/migrator/DataMigrations.ts"
import { ask, migrateRouter, revision } from "../../support/migrator/Fixture.ts"
import { onRouter } from "../../support/migrator/OnRouter.ts"
import { router } from "../../support/migrator/Services.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const items = revision(
  "create table router.item (id int primary key, done boolean);\ninsert into router.item select generate_series(1, 25);",
  "drop table router.item;"
)
const doneCount = "select count(*)::int as done from router.item where done"
describe("batches of a data revision", () => {
  const batched = (body: string, marker = "// migrate:up transaction:false lock_timeout:300ms") =>
    dataRevision(`${body},\n  irreversible: "a test"`, marker)
  /** Ten rows at a time by key; after the second batch each one sleeps for the time in router.gate. */
  const byKey = `
    up: inBatches({
      name: "items",
      key: Schema.Number,
      batch: (after) => Effect.gen(function* () {
        const db = yield* sql
        const last = Option.getOrElse(after, () => 0)
        if (last >= 20) yield* db\`select pg_sleep(seconds) from router.gate\`
        const rows = yield* db\`update router.item set done = true where id in (select id from router.item
          where id > \${last} order by id limit 10) returning id\`
        const ids = rows.map(({ id }) => id)
        return { rows: ids.length, last: ids.length === 0 ? Option.none() : Option.some(Math.max(...ids)) }
      })
    })`
  const untilDone = (limit: string, work = "Effect.void") => `
    up: untilNoRowIsLeft({
      name: "rest",
      limit: "${limit}",
      batch: Effect.gen(function* () {
        const db = yield* sql
        const rows = yield* db\`update router.item set done = true where id in (select id from router.item
          where done is null limit 10) returning id\`
        yield* ${work}
        return rows.length
      })
    })`
  const gated = `${items.replace("\n\n-- migrate:down", "\ncreate table router.gate as select 20 as seconds;\n\n-- migrate:down")}drop table router.gate;\n`
  const progress = "select state, progress from router.schema_history where revision = 2"
  const set = (fill: string) => dataMigrationsOf({ "router/0001_item.sql": gated, "router/0002_fill.ts": fill })

  it.scopedLive("commit one by one with their progress, and an interrupted run continues after the last of them", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* set(batched(byKey))
      const running = yield* Effect.fork(migrateRouter(url, migrations))
      const asleep = ask(
        url,
        "select from pg_stat_activity where query like 'select pg_sleep%' and state = 'active' and datname = current_database()"
      )
      yield* Effect.repeat(Effect.delay(asleep, "20 millis"), { until: (rows) => rows.length > 0 })
      yield* Fiber.interrupt(running)
      expect(yield* ask(url, doneCount)).toEqual([{ done: 20 }])
      const standing = { items: { key: 20, rows: 20, batches: 2, done: false } }
      expect(yield* ask(url, progress)).toEqual([{ state: "applying", progress: standing }])

      const other = yield* set(`${batched(byKey)}// edited\n`)
      const edited = yield* Effect.flip(migrateRouter(url, other))
      expect(edited).toMatchObject({ _tag: "PartlyApplied", exitCode: 7 })
      expect(edited.message).toContain("was edited after the revision began")
      // An edit can be accepted half-way; here it is accepted and then taken back.
      const accept = repair(router, Repair.AcceptChecksum({ number: 2, slug: null, reason: "a test" }))
      yield* accept.pipe(onRouter(url, other))
      expect(yield* Effect.flip(migrateRouter(url, migrations))).toMatchObject({ _tag: "PartlyApplied" })
      yield* accept.pipe(onRouter(url, migrations))

      // The finished rows are reset, so that a second run over them would show.
      yield* ask(url, "update router.item set done = null; update router.gate set seconds = 0")
      expect((yield* migrateRouter(url, migrations)).to).toBe("0002_fill")
      expect(yield* ask(url, doneCount)).toEqual([{ done: 5 }])
      const end = { items: { key: 25, rows: 25, batches: 4, done: true } }
      expect(yield* ask(url, progress)).toEqual([{ state: "applied", progress: end }])
    })
  )

  it.scopedLive("repeat until no row is left, and wait for rows that others lock", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      yield* migrateRouter(url, yield* dataMigrationsOf({ "router/0001_item.sql": gated }))
      const migrations = yield* set(batched(untilDone("5 seconds")))
      const options = { attempts: 8, firstPause: Duration.millis(50) }
      const other = yield* connect({ url, applicationName: "a writer" })
      yield* other.query("begin; update router.item set id = id where id = 1")
      const running = yield* Effect.fork(migrateRouter(url, migrations, undefined, options))
      yield* Effect.sleep("600 millis")
      yield* other.query("commit")
      expect((yield* Fiber.join(running)).to).toBe("0002_fill")
      expect(yield* ask(url, doneCount)).toEqual([{ done: 25 }])
      expect(yield* ask(url, progress)).toMatchObject([{ progress: { rest: { rows: 25, batches: 4, done: true } } }])
    })
  )

  it.scopedLive("are rolled back when they exceed their limit, and refused inside one transaction", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const slow = yield* set(batched(untilDone("300 millis", "db`select pg_sleep(20)`")))
      const failure = yield* Effect.flip(migrateRouter(url, slow))
      expect(failure).toMatchObject({ _tag: "RevisionFailed", exitCode: 1 })
      expect(failure.message).toContain('batches "rest": a batch took longer than 300ms')
      expect(yield* ask(url, doneCount)).toEqual([{ done: 0 }])
      const url2 = yield* freshDatabase
      const inside = yield* Effect.flip(migrateRouter(url2, yield* set(batched(byKey, ""))))
      expect(inside.message).toContain('add the line "// migrate:up transaction:false"')
    })
  )
})
