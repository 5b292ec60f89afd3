import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as PostgresAuditStore from "../../src/audit/PostgresAuditStore.ts"
import { connect } from "../../src/platform/Connection.ts"
import { tcpProxy } from "../support/TcpProxy.ts"
import { anEvent, rowsOf } from "./Events.ts"
import { gatekeeperDatabase, query, recordedIds } from "./Trail.ts"

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

it.scopedLive("a lock that somebody holds ends in a typed error, and the server stops waiting for it too", () =>
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
