import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { readLosses } from "../../../src/migrator/apply/LossCheck.ts"
import { preview } from "../../../src/migrator/apply/Migrate.ts"
import { acquire } from "../../../src/migrator/apply/SchemaLock.ts"
import { Target } from "../../../src/migrator/plan/Target.ts"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { ask, eventsOf, migrateRouter, migrationsOf, revision, tablesOf } from "../../support/migrator/Fixture.ts"
import { onRouter } from "../../support/migrator/OnRouter.ts"
import { router } from "../../support/migrator/Services.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const base = Target.DownTo({ number: 0, slug: null })

describe("a downgrade that destroys rows", () => {
  it.scopedLive("is refused before anything is reverted, with the number of rows in every table and column", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0002_tables.sql": revision(
          "create table router.a (id int primary key, note text);\ncreate table router.b (a int references router.a);\n" +
            "create table router.p (id int) partition by range (id);\n" +
            "create table router.p1 partition of router.p for values from (0) to (10);\ncreate table router.empty (id int);",
          "drop table router.p, router.empty;\ntruncate router.a cascade;\ndrop table router.b, router.a;"
        ),
        "router/0003_more.sql": revision(
          "alter table router.a add more text;",
          "alter table router.a drop column more;"
        ),
        "router/0001_code.sql": revision("select 1;", "do $$ begin end $$;")
      })
      yield* migrateRouter(url, migrations)
      yield* ask(
        url,
        `insert into router.a select i, 'n', case when i <= 2 then 'm' end from generate_series(1, 5) i;
         insert into router.b values (1), (2); insert into router.p values (1), (2), (3)`
      )
      const refusal = yield* Effect.flip(migrateRouter(url, migrations, base))
      expect(refusal).toMatchObject({
        _tag: "DataLossRefused",
        exitCode: 10,
        losses: [
          { revision: "0003_more", table: "router.a", column: "more", rows: 2 },
          { revision: "0002_tables", table: "router.p", column: null, rows: 3 },
          { revision: "0002_tables", table: "router.a", column: null, rows: 5 },
          { revision: "0002_tables", table: "router.b", column: null, rows: 2 },
          { revision: "0001_code", table: null, rows: null }
        ]
      })
      expect(refusal.message).toContain("0003_more: column router.a.more: 2 values")
      expect(refusal.message).toContain("downgrade base --allow-data-loss")
      expect((yield* eventsOf(url)).filter((event) => event.startsWith("reverted"))).toEqual([])
      // The check before the lock refuses the same.
      expect(yield* Effect.flip(preview(router, base).pipe(onRouter(url, migrations)))).toMatchObject({
        _tag: "DataLossRefused"
      })

      expect((yield* migrateRouter(url, migrations, base, { allowDataLoss: true })).to).toBe("base")
      expect(yield* tablesOf(url, "router")).toEqual([])
    })
  )

  it.scopedLive("is counted again under the lock, including rows added while it was waited for", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": revision("create table router.a (id int);", "drop table router.a;")
      })
      yield* migrateRouter(url, migrations)
      const holder = yield* connect({ url, applicationName: "holder" })
      const waiting = yield* Effect.gen(function* () {
        yield* acquire(holder, "router", Duration.zero)
        const waiting = yield* Effect.fork(Effect.flip(migrateRouter(url, migrations, base)))
        yield* Effect.sleep("300 millis")
        yield* ask(url, "insert into router.a values (1)")
        return waiting
      }).pipe(Effect.scoped)
      expect(yield* Fiber.join(waiting)).toMatchObject({
        _tag: "DataLossRefused",
        losses: [{ table: "router.a", rows: 1 }]
      })
      yield* ask(url, "delete from router.a")
      expect((yield* migrateRouter(url, migrations, base)).to).toBe("base")
    })
  )

  it.scopedLive("is refused if an earlier down moves rows to the table, so that they cannot be counted", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_old.sql": revision("create table router.old (id int);", "drop table router.old;"),
        "router/0002_new.sql": revision(
          "alter table router.old rename to new;",
          "alter table router.new rename to old;"
        )
      })
      yield* migrateRouter(url, migrations)
      yield* ask(url, "insert into router.new values (1)")
      const refusal = yield* Effect.flip(migrateRouter(url, migrations, base))
      expect(refusal).toMatchObject({ _tag: "DataLossRefused", losses: [{ table: "router.old", rows: null }] })
      expect(refusal.message).toContain("creates or renames it")
    })
  )

  it.scopedLive("is counted again before each step, so a row added during the one before is kept", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_old.sql": revision("create table router.old (id int);", "drop table router.old;"),
        "router/0002_slow.sql": revision("select 1;", "select pg_sleep(3);")
      })
      yield* migrateRouter(url, migrations)
      const back = yield* Effect.fork(Effect.flip(migrateRouter(url, migrations, base)))
      const sleeping =
        "select from pg_stat_activity where query = 'select pg_sleep(3)' and datname = current_database()"
      yield* Effect.repeat(Effect.delay(ask(url, sleeping), "20 millis"), { until: (rows) => rows.length > 0 })
      yield* ask(url, "insert into router.old values (1)")
      const refusal = yield* Fiber.join(back)
      expect(refusal).toMatchObject({ _tag: "DataLossRefused", losses: [{ table: "router.old", rows: 1 }] })
      expect(refusal.message).toContain("it stopped at 0001_old")
      expect(yield* tablesOf(url, "router")).toEqual(["old"])
    })
  )

  it.scopedLive("is counted again under the table's lock, so a row committed while it was waited for is kept", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_a.sql": revision("create table router.a (id int);", "drop table router.a;")
      })
      yield* migrateRouter(url, migrations)
      // The recount must see it whatever the default isolation level is.
      yield* ask(
        url,
        "do $$ begin execute format('alter database %I set default_transaction_isolation = serializable', current_database()); end $$"
      )
      const writer = yield* connect({ url, applicationName: "writer" })
      yield* writer.query("begin; insert into router.a values (1)")
      const back = yield* Effect.fork(Effect.flip(migrateRouter(url, migrations, base)))
      yield* Effect.sleep("700 millis")
      yield* writer.query("commit")
      expect(yield* Fiber.join(back)).toMatchObject({
        _tag: "DataLossRefused",
        losses: [{ table: "router.a", rows: 1 }],
        current: null
      })
      expect(yield* ask(url, "select id from router.a")).toEqual([{ id: 1 }])
      expect((yield* eventsOf(url)).filter((event) => /reverted|failed/.test(event))).toEqual([])
    })
  )

  it.scopedLive("is refused if it runs without a transaction, where no lock could keep rows from being added", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_a.sql":
          "-- migrate:up\ncreate table router.a (id int);\n-- migrate:down transaction:false\ndrop table router.a;\n"
      })
      yield* migrateRouter(url, migrations)
      const refusal = yield* Effect.flip(migrateRouter(url, migrations, base))
      expect(refusal.message).toContain("table router.a: the downgrade runs without a transaction")
      expect((yield* migrateRouter(url, migrations, base, { allowDataLoss: true })).to).toBe("base")
    })
  )

  it.scopedLive("is reported without a number if counting takes too long", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        "router/0001_many.sql": revision(
          "create table router.many as select generate_series(1, 300000) as id;",
          "drop table router.many;"
        )
      })
      yield* migrateRouter(url, migrations)
      const { steps } = yield* preview(router, base).pipe(onRouter(url, migrations, { allowDataLoss: true }))
      const connection = yield* connect({ url, applicationName: "gravitas test" })
      expect(yield* readLosses(connection, steps)).toMatchObject([{ table: "router.many", rows: 300_000 }])
      expect(yield* readLosses(connection, steps, Duration.millis(2))).toMatchObject([
        { table: "router.many", rows: null, note: "too many to count within 2ms" }
      ])
    })
  )
})
