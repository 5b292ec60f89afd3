import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
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

const statementError = (sqlstate: string) =>
  new DatabaseError({ phase: "statement", sqlstate, reason: `as if ${sqlstate}` })

it.scopedLive("a transaction that the server ends for its length is tried again, and never rejected", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    let failures = 5
    const trail = yield* openTrail(url, {}, (store) => ({
      ...store,
      append: (rows, options) =>
        Effect.suspend(() => (failures-- > 0 ? Effect.fail(statementError("25P04")) : store.append(rows, options)))
    }))
    const ids = yield* recordMany(trail.log, 8)
    expect((yield* settled(trail.log)).counters).toMatchObject({ committed: 8, deadLettered: 0 })
    expect(yield* recordedIds(url)).toEqual(ids)
  })
)

it.scopedLive("a row that kills the writer as a dead letter too is kept, logged, and delays no other row", () =>
  withLogs((lines) =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      let fixed = false
      const trail = yield* openTrail(url, {}, (store) => ({
        ...store,
        append: (rows, options) =>
          !fixed && rows.some((row) => row.action === "lethal")
            ? Effect.die(new Error("a bug"))
            : store.append(rows, options),
        deadLetter: (row, why) =>
          row.action === "lethal" ? Effect.die(new Error("the same bug")) : store.deadLetter(row, why)
      }))
      const lethal = yield* trail.log.record({ ...anEvent, action: "lethal" })
      const aside = yield* until(trail.log, (status) => status.aside === 1)
      expect([aside.depth, isConserved(aside)]).toEqual([1, true])
      expect(lines.some((line) => line.startsWith("ERROR ALARM: an audit event can be neither written"))).toBe(true)
      const ids = yield* recordMany(trail.log, 5)
      yield* until(trail.log, (status) => status.counters.committed === 5)
      expect(yield* recordedIds(url)).toEqual(ids)
      fixed = true
      yield* trail.shutdown
      expect((yield* trail.log.status).counters).toMatchObject({ committed: 6, deadLettered: 0 })
      expect(yield* recordedIds(url)).toEqual([lethal, ...ids])
    })
  )
)

it.scopedLive("a row that the dead letters refuse too is kept, logged, and delays no other row", () =>
  withLogs((lines) =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      yield* query(
        url,
        `alter table gatekeeper.audit_log add constraint no_poison check (action <> 'poison');
         alter table gatekeeper.audit_dead_letter add constraint none check (seq < 0)`
      )
      const trail = yield* openTrail(url)
      yield* trail.log.record({ ...anEvent, action: "poison" })
      const ids = yield* recordMany(trail.log, 5)
      const status = yield* until(trail.log, ({ aside, counters }) => aside === 1 && counters.committed === 5)
      expect([status.depth, isConserved(status)]).toEqual([1, true])
      expect(yield* recordedIds(url)).toEqual(ids)
      expect(lines.some((line) => line.startsWith("ERROR ALARM: an audit event was refused by the table and"))).toBe(
        true
      )
      yield* query(url, "alter table gatekeeper.audit_dead_letter drop constraint none")
      yield* trail.shutdown
      expect(yield* query(url, "select seq from gatekeeper.audit_dead_letter")).toEqual([{ seq: "1" }])
      expect(yield* query(url, "select unwritten from gatekeeper.audit_source")).toEqual([{ unwritten: "0" }])
    })
  )
)

it.scopedLive("a new column that must not be null pauses the drain and burns nothing", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    yield* query(url, "alter table gatekeeper.audit_log add column tenant text not null")
    const trail = yield* openTrail(url)
    const ids = yield* recordMany(trail.log, 20)
    const paused = yield* until(trail.log, (status) => status.drain === "paused")
    expect(paused.drain_problem).toEqual(expect.stringContaining("23502"))
    yield* query(url, "alter table gatekeeper.audit_log alter column tenant drop not null")
    yield* trail.shutdown
    expect((yield* trail.log.status).counters).toMatchObject({ committed: 20, deadLettered: 0 })
    expect(yield* recordedIds(url)).toEqual(ids)
  })
)

it.scopedLive("a constraint that refuses every row burns a few, then pauses the drain and keeps the rest", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    yield* query(url, "alter table gatekeeper.audit_log add constraint nothing_fits check (action is null)")
    const trail = yield* openTrail(url)
    yield* recordMany(trail.log, 40)
    const paused = yield* until(trail.log, (status) => status.aside === 3)
    expect(paused).toMatchObject({ drain: "paused", drain_problem: expect.stringContaining("8 events in a row") })
    expect(paused.counters).toMatchObject({ committed: 0, deadLettered: 8 })
    yield* query(url, "alter table gatekeeper.audit_log drop constraint nothing_fits")
    const status = yield* settled(trail.log)
    expect(status.counters).toMatchObject({ committed: 32, deadLettered: 8 })
  })
)

it.scopedLive("many poison rows in a row become dead letters all the same once another row is written", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    yield* query(url, "alter table gatekeeper.audit_log add constraint no_poison check (action <> 'poison')")
    const trail = yield* openTrail(url)
    yield* recordMany(trail.log, 11, { ...anEvent, action: "poison" })
    const ids = yield* recordMany(trail.log, 5)
    const status = yield* settled(trail.log)
    expect(status.counters).toMatchObject({ committed: 5, deadLettered: 11 })
    expect([status.aside, isConserved(status)]).toEqual([0, true])
    expect(yield* recordedIds(url)).toEqual(ids)
  })
)
