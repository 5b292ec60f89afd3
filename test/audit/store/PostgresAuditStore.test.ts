import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as PostgresAuditStore from "../../../src/audit/store/PostgresAuditStore.ts"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { anEvent, rowsOf } from "../../support/AuditEvents.ts"
import { tcpProxy } from "../../support/TcpProxy.ts"
import { gatekeeperDatabase, query, recordedIds } from "../../support/Trail.ts"

const certain = { certain: true }
const doubtful = { certain: false }

it.scopedLive("rows that are sent twice are there once, by either way of writing them", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const store = yield* PostgresAuditStore.make({ url })
    const rows = rowsOf(10, {
      event: { ...anEvent, reason: "tab\there, \\ and\nline\rend", metadata: { "a\t": "\\N" } }
    })
    expect(yield* store.append(rows.slice(0, 6), certain)).toEqual({ conflicts: [] })
    expect(yield* store.append(rows, doubtful)).toEqual({ conflicts: [] })
    expect(yield* store.append(rows, doubtful)).toEqual({ conflicts: [] })
    expect(yield* recordedIds(url)).toEqual(rows.map((row) => row.id))
    const written = yield* query(
      url,
      "select distinct reason, shell_id, metadata, marks, encode(leaf_hash, 'hex') = any($1) as known from gatekeeper.audit_log",
      [rows.map((row) => row.leafHash)]
    )
    expect(written).toEqual([
      { reason: "tab\there, \\ and\nline\rend", shell_id: null, metadata: { "a\t": "\\N" }, marks: [], known: true }
    ])
    expect(yield* query(url, "select source, last_seq from gatekeeper.audit_source")).toEqual([
      { source: rows[0]?.source, last_seq: "10" }
    ])
  })
)

it.scopedLive("a known id is an error where rows are certainly new, and leaves nothing behind", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const store = yield* PostgresAuditStore.make({ url })
    const rows = rowsOf(3)
    yield* store.append(rows.slice(0, 1), certain)
    expect((yield* Effect.flip(store.append(rows, certain))).sqlstate).toBe("23505")
    expect((yield* recordedIds(url)).length).toBe(1)
    expect(yield* query(url, "select last_seq from gatekeeper.audit_source")).toEqual([{ last_seq: "1" }])
  })
)

it.scopedLive("another event under a known id becomes a dead letter, and its batchmates are written", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const store = yield* PostgresAuditStore.make({ url })
    const [first] = rowsOf(1)
    if (first === undefined) return
    yield* store.append([first], certain)
    const others = rowsOf(3)
    const forged = others.map((row, index) => (index === 1 ? { ...row, id: first.id } : row))
    expect(yield* store.append(forged, doubtful)).toEqual({ conflicts: [first.id] })
    expect((yield* recordedIds(url)).length).toBe(3)
    // Sent again, it is still one dead letter.
    yield* store.append(forged, doubtful)
    const letters = yield* query(
      url,
      "select event_id, seq, sqlstate, convert_from(body, 'UTF8')::json ->> 'ghost_id' as ghost from gatekeeper.audit_dead_letter"
    )
    expect(letters).toEqual([{ event_id: first.id, seq: "2", sqlstate: "23505", ghost: "Scout" }])
  })
)

it.scopedLive("an answer to COMMIT that is lost leaves the outcome open, and sending again settles it", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const proxy = yield* tcpProxy(url)
    const store = yield* PostgresAuditStore.make({ url: proxy.url })
    const rows = rowsOf(100)
    yield* store.append(rows.slice(0, 50), certain)
    const [lost] = yield* Effect.all(
      [Effect.flip(store.append(rows.slice(50), certain)), proxy.loseAnswerTo("commit")],
      { concurrency: 2 }
    )
    expect([lost.phase, lost.sqlstate]).toEqual(["commit", undefined])
    expect(yield* store.append(rows.slice(50), doubtful)).toEqual({ conflicts: [] })
    expect(yield* recordedIds(url)).toEqual(rows.map((row) => row.id))
    expect(proxy.connections()).toBe(2)
  })
)

it.scopedLive("a held lock ends in a typed error, and the server stops waiting for it too", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const store = yield* PostgresAuditStore.make({ url, deadline: "1 second" })
    const holder = yield* connect({ url, applicationName: "holder" })
    yield* holder.query("begin")
    yield* holder.query("lock table gatekeeper.audit_log in access exclusive mode")
    const error = yield* Effect.flip(store.append(rowsOf(1), certain))
    expect(error.sqlstate).toBe("57014")
    yield* holder.query("rollback")
    yield* store.append(rowsOf(1), certain)
  })
)

it.scopedLive("errors within a COPY leave the session in order", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const store = yield* PostgresAuditStore.make({ url })
    const [good, bad] = rowsOf(2)
    if (good === undefined || bad === undefined) return
    const refusals = [
      { ...bad, metadata: "{" },
      { ...bad, ghostId: "g".repeat(101) },
      { ...bad, metadata: "[]" },
      { ...bad, leafHash: "00" },
      { ...bad, reason: "a\0b" },
      { ...bad, seq: 0 }
    ]
    const states = yield* Effect.forEach(refusals, (row) =>
      Effect.map(Effect.flip(store.append([good, row], certain)), (error) => error.sqlstate)
    )
    expect(states).toEqual(["22P02", "23514", "23514", "23514", "22021", "23514"])
    yield* store.append([good, bad], certain)
    expect((yield* recordedIds(url)).length).toBe(2)
  })
)

it.scopedLive("the last number never goes back, and a dead letter moves it too", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const store = yield* PostgresAuditStore.make({ url })
    const rows = rowsOf(7)
    const lastSeq = Effect.map(
      query(url, "select last_seq::integer as seq from gatekeeper.audit_source"),
      ([row]) => row
    )
    yield* store.append(rows.slice(0, 6), certain)
    yield* store.append(rows.slice(0, 3), doubtful)
    expect(yield* lastSeq).toEqual({ seq: 6 })
    for (const row of rows.slice(6)) yield* store.deadLetter(row, { sqlstate: null, reason: "test", attempts: 1 })
    expect(yield* lastSeq).toEqual({ seq: 7 })
  })
)

it.scopedLive.each([
  ["number", { seq: 1_000 }],
  ["content", { leafHash: "0".repeat(64) }],
  ["source", { source: "00000000-0000-4000-8000-000000000000" }]
] as const)("a known id with another %s is a conflict", ([_, difference]) =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const store = yield* PostgresAuditStore.make({ url })
    const rows = rowsOf(1)
    yield* store.append(rows, certain)
    const others = rows.map((row) => ({ ...row, ...difference }))
    expect(yield* store.append(others, doubtful)).toEqual({ conflicts: rows.map((row) => row.id) })
  })
)

it.scopedLive(
  "the server gives up before we do wherever rows are written, so that no session waits on without us",
  () =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const store = yield* PostgresAuditStore.make({ url, deadline: "500 millis" })
      const holder = yield* connect({ url, applicationName: "holder" })
      yield* holder.query("begin")
      yield* holder.query("lock table gatekeeper.audit_log, gatekeeper.audit_dead_letter in access exclusive mode")
      const rows = rowsOf(1)
      const errors = [yield* Effect.flip(store.append(rows, doubtful))]
      for (const row of rows) {
        errors.push(yield* Effect.flip(store.deadLetter(row, { sqlstate: null, reason: "test", attempts: 1 })))
      }
      expect(errors.map((error) => error.sqlstate)).toEqual(["57014", "57014"])
      yield* holder.query("rollback")
    })
)

it.scopedLive("after it was abandoned nothing is written, and the end can still be signed off", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const store = yield* PostgresAuditStore.make({ url })
    const rows = rowsOf(3)
    yield* store.append(rows.slice(0, 2), certain)
    yield* store.abandon
    const refusals = [yield* Effect.flip(store.append(rows.slice(2), certain))]
    for (const row of rows.slice(2)) {
      refusals.push(yield* Effect.flip(store.deadLetter(row, { sqlstate: null, reason: "test", attempts: 1 })))
    }
    expect(refusals.map((error) => error.phase)).toEqual(["connect", "connect"])
    const incarnation = {
      source: rows[0]?.source ?? "",
      host: "here",
      pid: 1,
      startedAt: 0,
      bootId: "boot",
      durability: "memory"
    }
    const located = yield* store.locate(
      incarnation,
      rows.map((row) => row.id)
    )
    expect([...located.committed].sort()).toEqual(rows.slice(0, 2).map((row) => row.id))
    const end = { lastSeq: 3, shed: 0, refused: 0, unwritten: 1, inDoubt: 0, quarantined: 0 }
    yield* store.signOff(incarnation, end)
    // An answer that was lost is asked for again.
    yield* store.signOff(incarnation, end)
    expect((yield* Effect.flip(store.signOff(incarnation, { ...end, unwritten: 0 }))).sqlstate).toBe("42501")
  })
)

it.scopedLive(
  "rows that were sent when writing was abandoned, and that a look-up does not find, never come later",
  () =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const store = yield* PostgresAuditStore.make({ url })
      const rows = rowsOf(3)
      yield* store.append(rows.slice(0, 1), certain)
      const holder = yield* connect({ url, applicationName: "holder" })
      yield* holder.query("begin")
      yield* holder.query("lock table gatekeeper.audit_log in exclusive mode")
      const writing = yield* Effect.fork(Effect.flip(store.append(rows.slice(1), certain)))
      const writers = Effect.map(
        query(
          url,
          "select wait_event_type from pg_stat_activity where application_name = 'gravitas audit' and datname = current_database()"
        ),
        (found) => found.map((row) => row["wait_event_type"])
      )
      yield* Effect.repeat(writers, { until: (waiting) => waiting.includes("Lock") })
      yield* store.abandon
      expect((yield* Fiber.join(writing)).phase).toBe("statement")
      const incarnation = {
        source: rows[0]?.source ?? "",
        host: "here",
        pid: 1,
        startedAt: 0,
        bootId: "boot",
        durability: "memory"
      }
      const located = yield* store.locate(
        incarnation,
        rows.map((row) => row.id)
      )
      expect([...located.committed]).toEqual(rows.slice(0, 1).map((row) => row.id))
      yield* holder.query("rollback")
      yield* Effect.repeat(writers, { until: (left) => left.length === 0 })
      expect((yield* recordedIds(url)).length).toBe(1)
    })
)

it.scopedLive("a look-up of rows waits for a COMMIT in progress", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const store = yield* PostgresAuditStore.make({ url })
    const rows = rowsOf(2)
    const [first, second] = rows
    if (first === undefined || second === undefined) return
    yield* store.append([first], certain)
    const other = yield* connect({ url, applicationName: "a session that was left" })
    yield* other.query("begin")
    yield* other.query(
      `insert into gatekeeper.audit_log
       select $1::uuid, timestamp, source, 2, ghost_id, shell_id, action, resource, result, reason, request_id, metadata, marks,
         leaf_hash from gatekeeper.audit_log`,
      [second.id]
    )
    yield* other.query("update gatekeeper.audit_source set last_seq = 2")
    const incarnation = {
      source: first.source,
      host: "here",
      pid: 1,
      startedAt: 0,
      bootId: "boot",
      durability: "memory"
    }
    const asking = yield* Effect.fork(
      store.locate(
        incarnation,
        rows.map((row) => row.id)
      )
    )
    yield* Effect.sleep("300 millis")
    yield* other.query("commit")
    expect((yield* Fiber.join(asking)).committed.size).toBe(2)
  })
)
