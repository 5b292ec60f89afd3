import { expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { connect } from "../../src/platform/postgres/Connection.ts"
import { DatabaseError } from "../../src/platform/postgres/DatabaseError.ts"
import {
  gatekeeperDatabase,
  openTrail,
  query,
  recordedIds,
  recordMany,
  settled,
  until,
  untilRows,
  withLogs
} from "../support/Trail.ts"

const noDeadLetters = { committed: expect.any(Number), deadLettered: 0 }

const statementError = (sqlstate: string) =>
  new DatabaseError({ phase: "statement", sqlstate, reason: `as if ${sqlstate}` })

const thisPartition = (url: Parameters<typeof query>[0]) =>
  Effect.map(
    query(
      url,
      `select format('gatekeeper.audit_log_%s', to_char(now() at time zone 'utc', 'YYYY_MM')) as name,
         pg_get_expr(c.relpartbound, c.oid) as bounds
       from pg_class c where c.oid = format('gatekeeper.audit_log_%s', to_char(now() at time zone 'utc', 'YYYY_MM'))::regclass`
    ),
    ([row]) => ({ name: String(row?.["name"]), bounds: String(row?.["bounds"]) })
  )

it.scopedLive("a partition that cannot be made for a while costs no event, however often it is tried", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    yield* query(url, `drop table ${(yield* thisPartition(url)).name}`)
    let failures = 6
    const trail = yield* openTrail(url, {}, (store) => ({
      ...store,
      makePartitionsAhead: Effect.void,
      makePartition: (id) =>
        Effect.suspend(() => (failures-- > 0 ? Effect.fail(statementError("55P03")) : store.makePartition(id)))
    }))
    const ids = yield* recordMany(trail.log, 10)
    const status = yield* settled(trail.log)
    expect(failures).toBeLessThan(0)
    expect(status.counters).toMatchObject(noDeadLetters)
    expect(yield* recordedIds(url)).toEqual(ids)
  })
)

it.scopedLive("a lock in the way of a missing partition is waited for in short turns", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    yield* query(url, `drop table ${(yield* thisPartition(url)).name}`)
    const holder = yield* connect({ url, applicationName: "holder" })
    yield* holder.query("begin")
    yield* holder.query("lock table gatekeeper.audit_log in share update exclusive mode")
    const trail = yield* openTrail(url, {}, (store) => ({ ...store, makePartitionsAhead: Effect.void }))
    const ids = yield* recordMany(trail.log, 10)
    const waiting = yield* until(trail.log, (status) => status.drain === "retrying")
    expect(waiting.drain_problem).toEqual(expect.stringContaining("55P03"))
    yield* holder.query("rollback")
    expect((yield* settled(trail.log)).counters).toMatchObject(noDeadLetters)
    expect(yield* recordedIds(url)).toEqual(ids)
  })
)

it.scopedLive("a partition that was detached pauses the drain and burns nothing", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const { bounds, name } = yield* thisPartition(url)
    yield* query(url, `alter table gatekeeper.audit_log detach partition ${name}`)
    const trail = yield* openTrail(url)
    const ids = yield* recordMany(trail.log, 10)
    const paused = yield* until(trail.log, (status) => status.drain === "paused")
    expect(paused.drain_problem).toEqual(expect.stringContaining("42P16"))
    yield* query(url, `alter table gatekeeper.audit_log attach partition ${name} ${bounds}`)
    yield* trail.shutdown
    expect((yield* trail.log.status).counters).toMatchObject(noDeadLetters)
    expect(yield* recordedIds(url)).toEqual(ids)
  })
)

it.scopedLive("a clock that jumped ahead and back costs the events of the jump alone, and is told once", () =>
  withLogs((lines) =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      let ahead = 0
      const real = Clock.make()
      const clock: Clock.Clock = {
        ...real,
        [Clock.ClockTypeId]: Clock.ClockTypeId,
        currentTimeMillis: real.currentTimeMillis,
        currentTimeNanos: real.currentTimeNanos,
        sleep: (duration) => real.sleep(duration),
        unsafeCurrentTimeNanos: () => real.unsafeCurrentTimeNanos(),
        unsafeCurrentTimeMillis: () => real.unsafeCurrentTimeMillis() + ahead
      }
      const trail = yield* openTrail(url, { batchSize: 50 }).pipe(Effect.withClock(clock))
      const before = yield* recordMany(trail.log, 5)
      yield* settled(trail.log)
      ahead = Duration.toMillis("120 days")
      yield* recordMany(trail.log, 1)
      ahead = 0
      const after = yield* recordMany(trail.log, 200)
      ahead = Duration.toMillis("120 days")
      yield* recordMany(trail.log, 1)
      ahead = 0
      const last = yield* recordMany(trail.log, 5)
      const status = yield* settled(trail.log)
      expect(status.counters).toMatchObject({ committed: 210, deadLettered: 2 })
      // Within a millisecond that the clock came back to, numbers tell the order, ids do not.
      const inOrder = yield* query(url, "select id from gatekeeper.audit_log order by seq")
      expect(inOrder.map((row) => row["id"])).toEqual([...before, ...after, ...last])
      expect(lines.filter((line) => /^WARN The clock went back by (120d|119d 23h)/.test(line)).length).toBe(1)
    })
  )
)

it.scopedLive("a batch that the database does not take in time goes in smaller pieces", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    yield* query(
      url,
      `create function gatekeeper.slow() returns trigger language plpgsql as
       $$ begin perform pg_sleep(0.006); return new; end $$;
       create trigger slow before insert on gatekeeper.audit_log for each row execute function gatekeeper.slow()`
    )
    const sizes: Array<number> = []
    const trail = yield* openTrail(
      url,
      { batchSize: 100 },
      (store) => ({
        ...store,
        append: (rows, options) =>
          Effect.tap(store.append(rows, options), () => Effect.sync(() => sizes.push(rows.length)))
      }),
      { deadline: "500 millis" }
    )
    const ids = yield* recordMany(trail.log, 150)
    const status = yield* settled(trail.log)
    expect(status.counters).toMatchObject({ committed: 150, deadLettered: 0 })
    expect(yield* recordedIds(url)).toEqual(ids)
    expect(Math.max(...sizes)).toBeLessThan(76)
  })
)

it.scopedLive("upkeep that waits for a lock delays no event and no end, and says what failed", () =>
  withLogs((lines) =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const [newest] = yield* query(
        url,
        "select max(inhrelid::regclass::text) as name from pg_inherits where inhparent = 'gatekeeper.audit_log'::regclass"
      )
      yield* query(url, `drop table ${String(newest?.["name"])}`)
      const holder = yield* connect({ url, applicationName: "holder" })
      yield* holder.query("begin")
      yield* holder.query("lock table gatekeeper.audit_log in share update exclusive mode")
      const trail = yield* openTrail(url, {}, (store) => ({
        ...store,
        register: () => Effect.fail(statementError("57P01"))
      }))
      const [took] = yield* Effect.timed(Effect.zipRight(recordMany(trail.log, 10), settled(trail.log)))
      expect(Duration.toMillis(took)).toBeLessThan(3_000)
      expect(lines.some((line) => line.startsWith("WARN The audit trail's incarnation is not registered: as if"))).toBe(
        true
      )
      expect(lines.some((line) => line.includes("partitions were not made"))).toBe(false)
      const [ended] = yield* Effect.timed(trail.shutdown)
      expect(Duration.toMillis(ended)).toBeLessThan(3_000)
    })
  )
)

it.scopedLive("a process names itself and makes the partitions of the months to come when it starts", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const partitions =
      "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'gatekeeper.audit_log'::regclass order by 1"
    const before = yield* query(url, partitions)
    yield* query(url, `drop table ${String(before.at(-1)?.["name"])}`)
    const trail = yield* openTrail(url)
    yield* untilRows(url, partitions, (rows) => rows.length === 3)
    expect(yield* query(url, partitions)).toEqual(before)
    const { source } = yield* trail.log.status
    expect(
      yield* query(
        url,
        "select source, host, pid, now() - started_at < interval '1 minute' as lately, last_seq from gatekeeper.audit_source"
      )
    ).toEqual([{ source, host: expect.stringMatching(/./), pid: process.pid, lately: true, last_seq: "0" }])
  })
)
