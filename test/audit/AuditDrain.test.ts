import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import { DatabaseError } from "../../src/platform/postgres/DatabaseError.ts"
import { anEvent } from "../support/AuditEvents.ts"
import {
  gatekeeperDatabase,
  isConserved,
  openTrail,
  query,
  recordedIds,
  recordMany,
  settled,
  until,
  withLogs
} from "../support/Trail.ts"

it.scopedLive("a poison row becomes one dead letter, and its batchmates are written in order", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    yield* query(url, "alter table gatekeeper.audit_log add constraint no_poison check (action <> 'poison')")
    const trail = yield* openTrail(url)
    const before = yield* recordMany(trail.log, 37)
    const poison = yield* trail.log.record({ ...anEvent, action: "poison", metadata: { key: "kept" } })
    const after = yield* recordMany(trail.log, 40)
    const status = yield* settled(trail.log)
    expect(yield* recordedIds(url)).toEqual([...before, ...after])
    const letters = yield* query(
      url,
      `select event_id, seq, sqlstate, attempts > 0 as tried, convert_from(body, 'UTF8')::json -> 'metadata' ->> 'key' as key
       from gatekeeper.audit_dead_letter`
    )
    expect(letters).toEqual([{ event_id: poison, seq: "38", sqlstate: "23514", tried: true, key: "kept" }])
    expect(status.counters).toMatchObject({ offered: 78, committed: 77, deadLettered: 1 })
    expect(isConserved(status)).toBe(true)
  })
)

it.scopedLive("a thousand waiting events take a handful of transactions, not one each", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const sizes: Array<number> = []
    const trail = yield* openTrail(url, { batchSize: 250 }, (store) => ({
      ...store,
      append: (rows, options) => {
        sizes.push(rows.length)
        return store.append(rows, options)
      }
    }))
    yield* recordMany(trail.log, 1_000)
    yield* settled(trail.log)
    expect(sizes.length).toBeLessThan(10)
    expect(Math.max(...sizes)).toBe(250)
    expect((yield* recordedIds(url)).length).toBe(1_000)
  })
)

it.scopedLive("a missing partition is made, and no event fails or becomes a dead letter", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const trail = yield* openTrail(url)
    yield* recordMany(trail.log, 1)
    yield* settled(trail.log)
    const [partition] = yield* query(url, "select tableoid::regclass::text as name from gatekeeper.audit_log limit 1")
    yield* query(url, `drop table ${String(partition?.["name"])}`)
    const ids = yield* recordMany(trail.log, 250)
    const status = yield* settled(trail.log)
    expect(yield* recordedIds(url)).toEqual(ids)
    expect(status.counters.deadLettered).toBe(0)
  })
)

it.scopedLive("another event under the same id raises an alarm, becomes a dead letter and delays no other event", () =>
  withLogs((lines) =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      // Another writer came first: writes each id of the first batch's second row with another content.
      const trail = yield* openTrail(url, {}, (store) => ({
        ...store,
        append: (rows, options) =>
          Effect.gen(function* () {
            const second = rows[1]
            if (options.certain && second !== undefined) {
              yield* store.append([{ ...second, source: crypto.randomUUID(), seq: 1 }], { certain: true })
            }
            return yield* store.append(rows, options)
          })
      }))
      const ids = yield* recordMany(trail.log, 3)
      const status = yield* settled(trail.log)
      expect(status.counters).toMatchObject({ committed: 2, deadLettered: 1 })
      expect(yield* recordedIds(url)).toEqual(ids)
      expect(yield* query(url, "select event_id, sqlstate from gatekeeper.audit_dead_letter")).toEqual([
        { event_id: ids[1], sqlstate: "23505" }
      ])
      expect(lines.filter((line) => line.startsWith("ERROR ALARM")).length).toBe(1)
      expect(lines.find((line) => line.startsWith("ERROR ALARM"))).toContain(ids[1])
    })
  )
)

it.scopedLive("an unknown error costs one row, not the trail", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const trail = yield* openTrail(url, {}, (store) => ({
      ...store,
      append: (rows, options) =>
        rows.some((row) => row.action === "odd")
          ? Effect.fail(new DatabaseError({ phase: "statement", sqlstate: "XX000", reason: "internal error" }))
          : store.append(rows, options)
    }))
    const ids = yield* recordMany(trail.log, 5)
    const odd = yield* trail.log.record({ ...anEvent, action: "odd" })
    const more = yield* recordMany(trail.log, 5)
    yield* settled(trail.log)
    expect(yield* recordedIds(url)).toEqual([...ids, ...more])
    expect(yield* query(url, "select event_id, attempts from gatekeeper.audit_dead_letter")).toEqual([
      { event_id: odd, attempts: expect.any(Number) }
    ])
  })
)

it.scopedLive("a writer that dies is restarted, and continues with its batches in flight", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const deaths = yield* Ref.make(2)
    const trail = yield* openTrail(url, { batchSize: 10 }, (store) => ({
      ...store,
      // It dies after the transaction: its batch is in the table already.
      append: (rows, options) =>
        Effect.zipRight(
          store.append(rows, options),
          Effect.flatMap(
            Ref.getAndUpdate(deaths, (left) => left - 1),
            (left) => (left > 0 ? Effect.die(new Error("a bug")) : Effect.succeed({ conflicts: [] }))
          )
        )
    }))
    const ids = yield* recordMany(trail.log, 35)
    const dead = yield* until(trail.log, (status) => status.drain === "dead")
    expect(dead.drain_problem).toEqual("Error: a bug")
    expect(dead.depth).toBeGreaterThan(0)
    const status = yield* settled(trail.log)
    expect(status.restarts).toBe(2)
    expect(isConserved(status)).toBe(true)
    expect(yield* recordedIds(url)).toEqual(ids)
    expect(yield* query(url, "select * from gatekeeper.audit_dead_letter")).toEqual([])
  })
)

it.scopedLive("a row that kills the worker each time becomes a dead letter", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const trail = yield* openTrail(url, {}, (store) => ({
      ...store,
      append: (rows, options) =>
        rows.some((row) => row.action === "lethal") ? Effect.die(new Error("a bug")) : store.append(rows, options)
    }))
    const lethal = yield* trail.log.record({ ...anEvent, action: "lethal" })
    yield* until(trail.log, (status) => status.counters.deadLettered === 1)
    const ids = yield* recordMany(trail.log, 5)
    yield* settled(trail.log)
    expect(yield* recordedIds(url)).toEqual(ids)
    expect(yield* query(url, "select event_id from gatekeeper.audit_dead_letter")).toEqual([{ event_id: lethal }])
  })
)

it.scopedLive("a wrong schema pauses the writer, which gives up no row and resumes after the fix", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    yield* query(url, "alter table gatekeeper.audit_log rename to audit_log_away")
    const trail = yield* openTrail(url)
    const ids = yield* recordMany(trail.log, 20)
    const paused = yield* until(trail.log, (status) => status.drain === "paused")
    expect(paused.drain_problem).toEqual(expect.stringContaining("42P01"))
    expect(yield* trail.log.accepting).toBe(true)
    yield* query(url, "alter table gatekeeper.audit_log_away rename to audit_log")
    const status = yield* settled(trail.log)
    expect(status.counters.deadLettered).toBe(0)
    expect(yield* recordedIds(url)).toEqual(ids)
  })
)
