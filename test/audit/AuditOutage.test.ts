import { expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import type { AuditLog } from "../../src/audit/AuditLog.ts"
import { anEvent } from "../support/AuditEvents.ts"
import { gatekeeperUp } from "../support/GatekeeperSchema.ts"
import { tcpProxy } from "../support/TcpProxy.ts"
import { testPostgres } from "../support/TestPostgres.ts"
import {
  gatekeeperDatabase,
  isConserved,
  openTrail,
  query,
  recordedIds,
  recordMany,
  settled,
  until
} from "../support/Trail.ts"

/** Ten events every 5 ms until the returned effect stops them; it gives their ids, in order. */
const load = Effect.fnUntraced(function* (log: typeof AuditLog.Service) {
  const ids = yield* Ref.make<ReadonlyArray<string>>([])
  const fiber = yield* Effect.fork(
    recordMany(log, 10).pipe(
      Effect.flatMap((more) => Ref.update(ids, (all) => [...all, ...more])),
      Effect.repeat(Schedule.spaced("5 millis"))
    )
  )
  return Effect.zipRight(Fiber.interrupt(fiber), Ref.get(ids))
})

it.scopedLive(
  "every event is in the table exactly once when PostgreSQL was stopped and started under load",
  () =>
    Effect.gen(function* () {
      const postgres = yield* testPostgres()
      yield* gatekeeperUp(postgres.url)
      const trail = yield* openTrail(postgres.url)
      const stopLoad = yield* load(trail.log)
      yield* until(trail.log, (status) => status.counters.committed > 50)
      yield* postgres.stop
      yield* until(trail.log, (status) => status.drain === "retrying" && status.depth > 100)
      expect(yield* trail.log.accepting).toBe(true)
      yield* postgres.start
      yield* until(trail.log, (status) => status.drain !== "retrying")
      yield* postgres.kill
      yield* until(trail.log, (status) => status.drain === "retrying")
      yield* postgres.start
      const ids = yield* stopLoad
      const status = yield* settled(trail.log)
      expect(isConserved(status)).toBe(true)
      expect(status.counters).toMatchObject({ committed: ids.length, deadLettered: 0, refused: 0 })
      expect(yield* recordedIds(postgres.url)).toEqual(ids)
    }),
  120_000
)

it.scopedLive(
  "every event is in the table exactly once when PostgreSQL hung under load, and record never waited",
  () =>
    Effect.gen(function* () {
      const postgres = yield* testPostgres()
      yield* gatekeeperUp(postgres.url)
      const trail = yield* openTrail(postgres.url, {}, undefined, {
        deadline: "500 millis",
        connectTimeout: "500 millis"
      })
      const stopLoad = yield* load(trail.log)
      yield* until(trail.log, (status) => status.counters.committed > 50)
      yield* postgres.pause
      yield* until(trail.log, (status) => status.drain === "retrying" && status.depth > 100)
      const durations = yield* Effect.forEach(Array.from({ length: 101 }), () =>
        Effect.map(Effect.timed(trail.log.record(anEvent)), ([took]) => Duration.toMillis(took))
      )
      expect(durations.toSorted((a, b) => a - b)[50]).toBeLessThan(5)
      yield* postgres.resume
      yield* until(trail.log, (status) => status.drain !== "retrying")
      const ids = yield* stopLoad
      const status = yield* settled(trail.log)
      expect(status.counters).toMatchObject({ committed: ids.length + 101, deadLettered: 0 })
      const recorded = yield* recordedIds(postgres.url)
      expect(recorded.length).toBe(ids.length + 101)
      expect(ids.filter((id) => !recorded.includes(id))).toEqual([])
    }),
  120_000
)

it.scopedLive(
  "a shutdown beside a PostgreSQL that hangs keeps its deadline and counts what is left",
  () =>
    Effect.gen(function* () {
      const postgres = yield* testPostgres()
      yield* gatekeeperUp(postgres.url)
      const trail = yield* openTrail(postgres.url, {
        shutdownDeadline: "1 second"
      })
      yield* recordMany(trail.log, 5)
      yield* settled(trail.log)
      yield* postgres.pause
      yield* recordMany(trail.log, 7)
      const [took] = yield* Effect.timed(trail.shutdown)
      yield* postgres.resume
      expect(Duration.toMillis(took)).toBeLessThan(5_000)
      expect(trail.unwritten()).toBe(7)
    }),
  60_000
)

it.scopedLive(
  "events taken while the database was away at the start are written when it comes",
  () =>
    Effect.gen(function* () {
      const postgres = yield* testPostgres()
      yield* gatekeeperUp(postgres.url)
      yield* postgres.stop
      const trail = yield* openTrail(postgres.url)
      const ids = yield* recordMany(trail.log, 30)
      yield* until(trail.log, (status) => status.drain === "retrying")
      yield* postgres.start
      yield* settled(trail.log)
      expect(yield* recordedIds(postgres.url)).toEqual(ids)
    }),
  60_000
)

it.scopedLive.each([
  ["an answer to COMMIT that is lost under load doubles nothing", "loseAnswerTo"],
  ["a COMMIT that is lost under load loses nothing", "cutBefore"]
] as const)("%s", ([_, fault]) =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const proxy = yield* tcpProxy(url)
    const trail = yield* openTrail(proxy.url, {}, (store) => ({ ...store, register: () => Effect.void }))
    const stopLoad = yield* load(trail.log)
    for (let time = 0; time < 5; time++) {
      yield* proxy[fault]("commit")
    }
    const ids = yield* stopLoad
    const status = yield* settled(trail.log)
    // One more for the upkeep's own session.
    expect(proxy.connections()).toBe(7)
    expect(status.counters).toMatchObject({ committed: ids.length, deadLettered: 0 })
    expect(yield* recordedIds(url)).toEqual(ids)
  })
)

it.scopedLive.each([
  ["an answer to the COMMIT of a dead letter that is lost doubles nothing", "loseAnswerTo"],
  ["a COMMIT of a dead letter that is lost loses nothing", "cutBefore"]
] as const)("%s", ([_, fault]) =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    yield* query(url, "alter table gatekeeper.audit_log add constraint no_poison check (action <> 'poison')")
    const proxy = yield* tcpProxy(url)
    const trail = yield* openTrail(proxy.url, {}, (store) => ({ ...store, register: () => Effect.void }))
    yield* Effect.all([proxy[fault]("commit"), trail.log.record({ ...anEvent, action: "poison" })], { concurrency: 2 })
    const status = yield* settled(trail.log)
    expect(status.counters).toMatchObject({ committed: 0, deadLettered: 1 })
    expect(yield* query(url, "select seq from gatekeeper.audit_dead_letter")).toEqual([{ seq: "1" }])
    expect(yield* query(url, "select last_seq from gatekeeper.audit_source")).toEqual([{ last_seq: "1" }])
  })
)

it.scopedLive("a server that is read-only for a while is waited for", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const database = new URL(Redacted.value(url)).pathname.slice(1)
    yield* query(url, `alter database ${database} set default_transaction_read_only = on`)
    const trail = yield* openTrail(url)
    const ids = yield* recordMany(trail.log, 10)
    const waiting = yield* until(trail.log, (status) => status.drain === "retrying")
    expect(waiting.drain_problem).toEqual(expect.stringContaining("25006"))
    yield* query(url, `begin read write; alter database ${database} reset default_transaction_read_only; commit`)
    yield* query(
      url,
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'gravitas audit' and datname = current_database()"
    )
    yield* settled(trail.log)
    expect(yield* recordedIds(url)).toEqual(ids)
  })
)
