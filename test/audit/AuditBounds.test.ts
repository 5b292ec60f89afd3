import { expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { connect } from "../../src/platform/postgres/Connection.ts"
import { anEvent } from "../support/AuditEvents.ts"
import {
  gatekeeperDatabase,
  openTrail,
  query,
  recordedIds,
  recordMany,
  settled,
  until,
  untilRows
} from "../support/Trail.ts"

it.scopedLive("a full buffer refuses, gives no number to what it refused, and accepts again when there is room", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const gate = yield* Effect.makeLatch(false)
    const trail = yield* openTrail(url, { queueCapacity: 10 }, (store) => ({
      ...store,
      append: (rows, options) => Effect.zipRight(gate.await, store.append(rows, options))
    }))
    const ids = yield* recordMany(trail.log, 10)
    expect(yield* trail.log.accepting).toBe(false)
    const refusal = yield* Effect.flip(trail.log.record(anEvent))
    expect(refusal).toMatchObject({
      _tag: "AuditUnavailable",
      reason: "full",
      detail: "10 events wait for the database"
    })
    yield* gate.open
    yield* settled(trail.log)
    expect(yield* trail.log.accepting).toBe(true)
    const last = yield* trail.log.record(anEvent)
    const status = yield* settled(trail.log)
    expect(status.counters).toMatchObject({ offered: 12, committed: 11, deadLettered: 0, refused: 1, shed: 0 })
    expect(yield* recordedIds(url)).toEqual([...ids, last])
    expect(yield* query(url, "select max(seq) as seq from gatekeeper.audit_log")).toEqual([{ seq: "11" }])
    yield* trail.shutdown
    expect(yield* query(url, "select signed_off_seq, refused, shed from gatekeeper.audit_source")).toEqual([
      { signed_off_seq: "11", refused: "1", shed: "0" }
    ])
  })
)

it.scopedLive("a full buffer sheds where it is told to, counts it, and a receipt in the trail names the numbers", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const gate = yield* Effect.makeLatch(false)
    const trail = yield* openTrail(url, { queueCapacity: 3, onFull: "shed" }, (store) => ({
      ...store,
      append: (rows, options) => Effect.zipRight(gate.await, store.append(rows, options))
    }))
    const ids = yield* recordMany(trail.log, 5)
    expect(new Set(ids).size).toBe(5)
    expect(yield* trail.log.accepting).toBe(true)
    yield* gate.open
    const receipts = yield* untilRows(
      url,
      "select seq::integer, source, reason, metadata from gatekeeper.audit_log where result = 'LOST'",
      (rows) => rows.length > 0
    )
    const last = yield* trail.log.record(anEvent)
    const status = yield* settled(trail.log)
    expect(status.counters).toMatchObject({ offered: 7, committed: 5, deadLettered: 0, refused: 0, shed: 2 })
    yield* trail.shutdown
    expect(receipts).toEqual([
      {
        seq: 6,
        source: status.source,
        reason: "2 events answered without a record, among numbers 4 to 5",
        metadata: { kind: "shed", source: status.source, from_seq: 4, to_seq: 5, count: 2 }
      }
    ])
    expect(
      yield* query(url, "select id, seq::integer from gatekeeper.audit_log where result <> 'LOST' order by seq")
    ).toEqual([...ids.slice(0, 3).map((id, index) => ({ id, seq: index + 1 })), { id: last, seq: 7 }])
    expect(yield* query(url, "select signed_off_seq, shed, unwritten from gatekeeper.audit_source")).toEqual([
      { signed_off_seq: "7", shed: "2", unwritten: "0" }
    ])
  })
)

it.scopedLive("what was shed before the end has its receipt at the end", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const gate = yield* Effect.makeLatch(false)
    const trail = yield* openTrail(url, { queueCapacity: 2, onFull: "shed", batchSize: 1 }, (store) => ({
      ...store,
      append: (rows, options) => Effect.zipRight(gate.await, store.append(rows, options))
    }))
    yield* recordMany(trail.log, 3)
    yield* gate.open
    yield* until(trail.log, (status) => status.depth < 2)
    yield* trail.shutdown
    expect(
      yield* query(url, "select metadata->'count' as count from gatekeeper.audit_log where result = 'LOST'")
    ).toEqual([{ count: 1 }])
  })
)

it.scopedLive("a trail that is full when it is asked to end still says what it shed", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const gate = yield* Effect.makeLatch(false)
    const trail = yield* openTrail(url, { queueCapacity: 3, onFull: "shed" }, (store) => ({
      ...store,
      append: (rows, options) => Effect.zipRight(gate.await, store.append(rows, options))
    }))
    yield* recordMany(trail.log, 10)
    const ending = yield* Effect.fork(trail.shutdown)
    yield* Effect.sleep("100 millis")
    yield* gate.open
    yield* Fiber.join(ending)
    expect(
      yield* query(url, "select metadata->'count' as count from gatekeeper.audit_log where result = 'LOST'")
    ).toEqual([{ count: 7 }])
  })
)

it.scopedLive("a shutdown that cannot write everything counts the rest, says so, and keeps its deadline", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const waited: Array<number | null> = []
    const trail = yield* openTrail(url, {
      shutdownDeadline: "500 millis"
    })
    yield* recordMany(trail.log, 5)
    yield* settled(trail.log)
    const holder = yield* connect({ url, applicationName: "holder" })
    yield* holder.query("begin")
    yield* holder.query("lock table gatekeeper.audit_log in access exclusive mode")
    yield* recordMany(trail.log, 20)
    yield* Effect.sleep("60 millis")
    waited.push((yield* trail.log.status).oldest_age_ms)
    const [took] = yield* Effect.timed(trail.shutdown)
    expect(Duration.toMillis(took)).toBeLessThan(4_000)
    yield* holder.query("rollback")
    expect(trail.unwritten()).toBe(20)
    expect(waited[0]).toBeGreaterThanOrEqual(50)
    expect((yield* recordedIds(url)).length).toBe(5)
    expect(yield* query(url, "select last_seq, signed_off_seq, unwritten from gatekeeper.audit_source")).toEqual([
      { last_seq: "5", signed_off_seq: "25", unwritten: "20" }
    ])
  })
)
