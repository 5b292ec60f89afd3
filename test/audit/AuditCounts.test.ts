import { expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Redacted from "effect/Redacted"
import type { HashedRow } from "../../src/audit/encoding/AuditRow.ts"
import type { Incarnation } from "../../src/audit/store/AuditStore.ts"
import * as PostgresAuditStore from "../../src/audit/store/PostgresAuditStore.ts"
import { connect } from "../../src/platform/postgres/Connection.ts"
import { rowsOf } from "../support/AuditEvents.ts"
import { tcpProxy } from "../support/TcpProxy.ts"
import { gatekeeperDatabase, query } from "../support/Trail.ts"

const certain = { certain: true }
const doubtful = { certain: false }
const why = { sqlstate: "22021", reason: "test", attempts: 1 }

const countsOf = (url: Redacted.Redacted, source: string | undefined) =>
  Effect.map(
    query(
      url,
      `select committed::integer, dead_lettered::integer as letters, replayed::integer, counted
       from gatekeeper.audit_source where source = $1`,
      [source]
    ),
    ([row]) => row
  )

const incarnationOf = (source: string): Incarnation => ({
  source,
  host: "here",
  pid: 1,
  startedAt: 1_000,
  bootId: "boot",
  durability: "journal"
})

const open = Effect.gen(function* () {
  const url = yield* gatekeeperDatabase
  return { url, store: yield* PostgresAuditStore.make({ url }) }
})

it.scopedLive("rows count once, whichever way and however often they are sent", () =>
  Effect.gen(function* () {
    const { store, url } = yield* open
    const rows = rowsOf(10)
    yield* store.append(rows.slice(0, 4), certain)
    expect(yield* countsOf(url, rows[0]?.source)).toMatchObject({ committed: 4, letters: 0 })
    yield* store.append(rows, doubtful)
    yield* store.append(rows, doubtful)
    expect(yield* countsOf(url, rows[0]?.source)).toEqual({ committed: 10, letters: 0, replayed: 0, counted: true })
  })
)

it.scopedLive("a lost answer to COMMIT counts its rows and its dead letter once", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const proxy = yield* tcpProxy(url)
    const store = yield* PostgresAuditStore.make({ url: proxy.url })
    const rows = rowsOf(50)
    yield* store.append(rows.slice(0, 10), certain)
    yield* Effect.all([Effect.flip(store.append(rows.slice(10), certain)), proxy.loseAnswerTo("commit")], {
      concurrency: 2
    })
    yield* store.append(rows.slice(10), doubtful)
    expect(yield* countsOf(url, rows[0]?.source)).toMatchObject({ committed: 50, letters: 0 })
    const [bad] = rowsOf(1)
    if (bad === undefined) return
    yield* store.makePartition(bad.id)
    yield* Effect.all([Effect.flip(store.deadLetter(bad, why)), proxy.loseAnswerTo("commit")], { concurrency: 2 })
    yield* store.deadLetter(bad, why)
    expect(yield* countsOf(url, bad.source)).toMatchObject({ committed: 0, letters: 1 })
  })
)

it.scopedLive("of another event under a known id the letter counts, once, and the row does not", () =>
  Effect.gen(function* () {
    const { store, url } = yield* open
    const [known] = rowsOf(1)
    if (known === undefined) return
    yield* store.append([known], certain)
    const forged = rowsOf(3).map((row, index) => (index === 1 ? { ...row, id: known.id } : row))
    yield* store.append(forged, doubtful)
    yield* store.append(forged, doubtful)
    expect(yield* countsOf(url, forged[0]?.source)).toMatchObject({ committed: 2, letters: 1, replayed: 0 })
  })
)

it.scopedLive(
  "an event counts in one place: a written row gets no letter, and a letter whose row is written is replayed",
  () =>
    Effect.gen(function* () {
      const { store, url } = yield* open
      const rows = rowsOf(2)
      const source = rows[0]?.source
      const [written, refused] = rows
      if (written === undefined || refused === undefined) return
      yield* store.append([written], certain)
      yield* store.deadLetter(written, why)
      expect(yield* query(url, "select from gatekeeper.audit_dead_letter")).toEqual([])
      yield* store.deadLetter(refused, why)
      expect(yield* countsOf(url, source)).toMatchObject({ committed: 1, letters: 1, replayed: 0 })
      yield* store.append(rows, doubtful)
      yield* store.append(rows, doubtful)
      expect(yield* countsOf(url, source)).toMatchObject({ committed: 2, letters: 1, replayed: 1 })
      expect(yield* query(url, "select event_id, by, outcome from gatekeeper.audit_dead_letter_replay")).toEqual([
        { event_id: refused.id, by: "drain", outcome: "replayed" }
      ])
    })
)

it.scopedLive("a sign of life moves forward only, and leaves who it is", () =>
  Effect.gen(function* () {
    const { store, url } = yield* open
    const incarnation = incarnationOf(crypto.randomUUID())
    const seen = query(url, "select seen_at, host, boot_id, durability from gatekeeper.audit_source")
    yield* store.heartbeat(incarnation)
    yield* query(url, "update gatekeeper.audit_source set seen_at = now() + interval '1 hour'")
    const [ahead] = yield* seen
    yield* store.heartbeat(incarnation)
    expect(yield* seen).toEqual([{ ...ahead, host: "here", boot_id: "boot", durability: "journal" }])
  })
)

it.scopedLive(
  "a source that ended without signing off is closed at the first reported number; its counts only grow",
  () =>
    Effect.gen(function* () {
      const { store, url } = yield* open
      const source = crypto.randomUUID()
      const row = Effect.map(
        query(
          url,
          `select unsigned_after::integer as after, refused::integer, shed::integer, quarantined::integer
         from gatekeeper.audit_source where source = $1`,
          [source]
        ),
        ([found]) => found
      )
      yield* store.closeUnknown(source, 7, { refused: 2, shed: 1, quarantined: 3 })
      yield* store.closeUnknown(source, 9, { refused: 1, shed: 4, quarantined: 3 })
      expect(yield* row).toEqual({ after: 7, refused: 2, shed: 4, quarantined: 3 })
      // Its own word, late, stands from then on.
      const end = { lastSeq: 9, shed: 5, refused: 6, unwritten: 0, inDoubt: 0, quarantined: 3 }
      yield* store.signOff(incarnationOf(source), end)
      yield* store.closeUnknown(source, 9, { refused: 100, shed: 100, quarantined: 4 })
      expect(yield* row).toEqual({ after: 7, refused: 6, shed: 5, quarantined: 4 })
    })
)

it.scopedLive(
  "the result of a search for gaps is added once, whichever process searched and however often it is reported",
  () =>
    Effect.gen(function* () {
      const { store, url } = yield* open
      const rows = rowsOf(20)
      const source = rows[0]?.source ?? ""
      yield* store.append(rows, certain)
      const found = { from: 0, checkedSeq: 10, lost: 2 }
      const both = yield* Effect.all([store.recordLoss(source, found), store.recordLoss(source, found)], {
        concurrency: 2
      })
      expect(both.toSorted()).toEqual([false, true])
      expect(yield* store.recordLoss(source, { from: 0, checkedSeq: 15, lost: 3 })).toBe(false)
      expect(yield* store.recordLoss(source, { from: 10, checkedSeq: 20, lost: 1 })).toBe(true)
      expect(yield* store.recordLoss(source, { from: 20, checkedSeq: 20, lost: 1 })).toBe(false)
      expect(
        yield* query(url, "select lost::integer, checked_seq::integer as checked from gatekeeper.audit_source")
      ).toEqual([{ lost: 3, checked: 20 }])
    })
)

it.scopedLive("two who write at once take turns, and one that leaves the queue leaves the other well", () =>
  Effect.gen(function* () {
    const { store, url } = yield* open
    const [live, adopted, left] = [rowsOf(30), rowsOf(30), rowsOf(1)]
    const each = (rows: ReadonlyArray<HashedRow>) => Effect.forEach(rows, (row) => store.append([row], certain))
    yield* Effect.all([each(live), each(adopted)], { concurrency: 2 })
    expect(yield* countsOf(url, live[0]?.source)).toMatchObject({ committed: 30 })
    expect(yield* countsOf(url, adopted[0]?.source)).toMatchObject({ committed: 30 })

    const holder = yield* connect({ url, applicationName: "holder" })
    yield* holder.query("begin")
    yield* holder.query("lock table gatekeeper.audit_log in share mode")
    const [first, last] = [rowsOf(1), rowsOf(1)]
    const writing = yield* Effect.fork(store.append(first, certain))
    yield* Effect.sleep("100 millis")
    const waiting = yield* Effect.fork(store.append(left, certain))
    const behind = yield* Effect.fork(store.append(last, certain))
    yield* Effect.sleep("100 millis")
    const [took] = yield* Effect.timed(Fiber.interrupt(waiting))
    yield* holder.query("rollback")
    yield* writing.await
    yield* behind.await
    expect(Duration.toMillis(took)).toBeLessThan(500)
    expect(yield* countsOf(url, first[0]?.source)).toMatchObject({ committed: 1 })
    expect(yield* countsOf(url, last[0]?.source)).toMatchObject({ committed: 1 })
    expect(yield* countsOf(url, left[0]?.source)).toBeUndefined()
  })
)
