import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Redacted from "effect/Redacted"
import { acquire } from "../../../src/migrator/apply/SchemaLock.ts"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { DatabaseError } from "../../../src/platform/postgres/DatabaseError.ts"
import {
  ask,
  eventsOf,
  migrateRouter,
  migrationsOf,
  revision,
  tableA,
  tablesOf
} from "../../support/migrator/Fixture.ts"
import { skipBecause } from "../../support/SkipBecause.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

const hold = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const connection = yield* connect({ url, applicationName: "gravitas migrate router 42@elsewhere" })
    yield* acquire(connection, "router", Duration.zero)
    return connection
  })

/** Waits until a session runs, or waits in, a statement like this one; returns the pid of its backend. */
const untilRunning = (url: Redacted.Redacted, statement: string): Effect.Effect<unknown, DatabaseError> =>
  ask(
    url,
    `select pid from pg_stat_activity where query like $1 and state = 'active' and pid <> pg_backend_pid()
     and datname = current_database()`,
    [`%${statement}%`]
  ).pipe(
    Effect.flatMap(([row]) =>
      row === undefined ? Effect.delay(untilRunning(url, statement), "20 millis") : Effect.succeed(row["pid"])
    )
  )

describe("the lock of a schema", () => {
  it.scopedLive("is waited for up to the limit, then the error names the holder", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA })
      const { backendPid } = yield* hold(url)
      const lockWait = Duration.millis(300)
      const [waited, refusal] = yield* Effect.timed(
        Effect.flip(migrateRouter(url, migrations, undefined, { lockWait }))
      )
      expect(refusal).toMatchObject({ _tag: "LockNotAcquired", exitCode: 6 })
      expect(refusal.message).toContain(`"gravitas migrate router 42@elsewhere" (pid ${backendPid}, since 2`)
      expect(Duration.toMillis(waited)).toBeGreaterThan(300)
    })
  )

  it.scopedLive("passes to the next process when its holder is done", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA })
      const waiting = yield* Effect.zipRight(hold(url), Effect.fork(migrateRouter(url, migrations))).pipe(
        Effect.zipLeft(Effect.sleep("300 millis")),
        Effect.scoped
      )
      expect((yield* Fiber.join(waiting)).to).toBe("0001_a")
    })
  )

  it.scopedLive("is not taken by a start at head", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA })
      yield* migrateRouter(url, migrations)
      yield* hold(url)
      const outcome = yield* migrateRouter(url, migrations, undefined, { lockWait: Duration.zero })
      expect(outcome.steps).toEqual([])
    })
  )

  it.scopedLive("is checked in every transaction, and nothing more runs once this backend no longer holds it", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf({
        // No check can read what it runs.
        "router/0001_loses.sql": revision("do $$ begin execute 'select pg_advisory_' || 'unlock_all()'; end $$;"),
        "router/0002_a.sql": tableA
      })
      expect(yield* Effect.flip(migrateRouter(url, migrations))).toMatchObject({ cause: { sqlstate: "55000" } })
      expect(yield* tablesOf(url, "router")).toEqual([])
    })
  )

  it.scopedLive("tells a lock that was released from another backend in messages of every language", () =>
    Effect.gen(function* () {
      const connection = yield* connect({ url: yield* freshDatabase, applicationName: "test" })
      const lock = yield* acquire(connection, "router", Duration.zero)
      const releasedBy = (pid: string) => {
        const reason = `unbekannter Konfigurationsparameter »gravitas.migration_lock_lost_by_${pid}«`
        const cause = new DatabaseError({ phase: "statement", reason, sqlstate: "42704" })
        return Effect.flip(lock.begin({}).failed({ cause, index: 1, answers: [] }))
      }
      expect(yield* releasedBy(`${connection.backendPid}`)).toMatchObject({ _tag: "LockLost", released: true })
      expect(yield* releasedBy(`${connection.backendPid}7`)).toMatchObject({ _tag: "LockLost", released: false })
    })
  )

  it.scopedLive("allows a concurrent index build while others wait for the lock and rows are written", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const index = revision(
        "create index concurrently a_id on router.a (id);\nselect pg_sleep(0.7);",
        "drop index concurrently router.a_id;",
        " transaction:false"
      ).replace("migrate:down", "migrate:down transaction:false")
      const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA, "router/0002_index.sql": index })
      const start = Effect.fork(migrateRouter(url, migrations))
      const first = yield* start
      yield* untilRunning(url, "pg_sleep(0.7)")
      const second = yield* start
      yield* ask(url, "insert into router.a select generate_series(1, 1000)")
      const outcomes = yield* Fiber.join(Fiber.zip(first, second))
      expect(outcomes.map(({ steps }) => steps.length)).toEqual([2, 0])
      expect(yield* ask(url, "select indisvalid from pg_index where indexrelid = 'router.a_id'::regclass")).toEqual([
        { indisvalid: true }
      ])
      expect(
        yield* ask(url, "select state, steps_done, steps_total from router.schema_history where revision = 2")
      ).toEqual([{ state: "applied", steps_done: 2, steps_total: 2 }])
    })
  )
})

describe("a revision that waits for a lock of live traffic", () => {
  const options = { attempts: 3, firstPause: Duration.millis(100) }
  const setUp = Effect.gen(function* () {
    const url = yield* freshDatabase
    const migrations = yield* migrationsOf({ "router/0001_a.sql": tableA })
    yield* migrateRouter(url, migrations)
    const add = revision(
      "alter table router.a add note text;",
      "alter table router.a drop note;",
      " lock_timeout:200ms"
    )
    const both = yield* migrationsOf({ "router/0001_a.sql": tableA, "router/0002_add.sql": add })
    return { url, migrations: both }
  })
  /** A transaction that has read the table and stays open. */
  const reader = (url: Redacted.Redacted, text: string) =>
    connect({ url, applicationName: "a long report" }).pipe(
      Effect.tap((connection) => connection.query(`begin; ${text}`))
    )

  it.scopedLive("leaves the lock queue, retries, and succeeds when the table is free", () =>
    Effect.gen(function* () {
      const { migrations, url } = yield* setUp
      const waiting = yield* Effect.zipRight(
        reader(url, "select * from router.a"),
        Effect.fork(migrateRouter(url, migrations, undefined, options))
      ).pipe(Effect.zipLeft(Effect.sleep("300 millis")), Effect.scoped)
      expect((yield* Fiber.join(waiting)).to).toBe("0002_add")
      expect((yield* eventsOf(url)).slice(2)).toEqual(["applied add"])
    })
  )

  it.scopedLive("fails after its last attempt and names the sessions that blocked it", () =>
    Effect.gen(function* () {
      const { migrations, url } = yield* setUp
      const { backendPid } = yield* reader(url, "select * from router.a")
      const failure = yield* Effect.flip(migrateRouter(url, migrations, undefined, options))
      expect(failure).toMatchObject({ _tag: "RevisionFailed", attempts: 3, cause: { sqlstate: "55P03" } })
      expect(failure.message).toContain(`blocked by: "a long report" (pid ${backendPid}`)
    })
  )

  it.scopedLive("names a prepared transaction, which has no session", (context) =>
    Effect.gen(function* () {
      const { migrations, url } = yield* setUp
      const [setting] = yield* ask(url, "show max_prepared_transactions")
      if (setting?.["max_prepared_transactions"] === "0") return skipBecause(context, "max_prepared_transactions is 0")
      const connection = yield* connect({ url, applicationName: "a coordinator" })
      yield* connection.query("begin; insert into router.a values (1); prepare transaction 'it''s gid1'")
      yield* Effect.addFinalizer(() => Effect.orDie(connection.query("rollback prepared 'it''s gid1'")))
      const failure = yield* Effect.flip(migrateRouter(url, migrations, undefined, options))
      expect(failure.message).toContain(`blocked by: prepared transaction "it's gid1" (of `)
      expect(failure.message).toContain("commit prepared 'it''s gid1', or rollback prepared)")
    })
  )
})

describe("a run that is interrupted", () => {
  const slow = {
    "router/0001_a.sql": tableA,
    "router/0002_slow.sql": revision("create table router.s ();\nselect pg_sleep(20);")
  }

  it.scopedLive("cancels its statement in the server and rolls back", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const running = yield* Effect.fork(migrateRouter(url, yield* migrationsOf(slow)))
      yield* untilRunning(url, "pg_sleep(20)")
      yield* Fiber.interrupt(running)
      expect(yield* tablesOf(url, "router")).toEqual(["a"])
      expect(
        yield* ask(
          url,
          "select from pg_stat_activity where query like '%pg_sleep(20)%' and state = 'active' and pid <> pg_backend_pid()"
        )
      ).toEqual([])
    })
  )

  it.scopedLive("fails with a typed error if its connection is lost, and the next run continues", () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      const migrations = yield* migrationsOf(slow)
      const running = yield* Effect.fork(Effect.flip(migrateRouter(url, migrations)))
      const pid = yield* untilRunning(url, "pg_sleep(20)")
      yield* ask(url, "select pg_terminate_backend($1)", [pid])
      expect(yield* Fiber.join(running)).toMatchObject({ _tag: "RevisionFailed", revision: "0002_slow" })
      const quick = yield* migrationsOf({ ...slow, "router/0002_slow.sql": revision("create table router.s ();") })
      expect((yield* migrateRouter(url, quick)).to).toBe("0002_slow")
    })
  )
})
