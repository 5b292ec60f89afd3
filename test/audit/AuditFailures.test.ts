import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { AuditEvent } from "../../src/domain/AuditEvent.ts"
import { HandledRequest } from "../../src/platform/http/RequestContext.ts"
import type { Row } from "../../src/platform/postgres/Connection.ts"
import { anEvent } from "../support/AuditEvents.ts"
import { journaled, journalFolder, leaveJournal } from "../support/Journals.ts"
import {
  type Around,
  gatekeeperDatabase,
  isConserved,
  openTrail,
  query,
  settled,
  type Trail,
  until,
  untilRows
} from "../support/Trail.ts"

const failure: AuditEvent = { ...anEvent, ghostId: null, result: "UNAUTHENTICATED", metadata: {} }

const unlimited = { perAddress: 1_000_000, inAll: 1_000_000, trustedProxies: [] }
const fewest = { perAddress: 1, inAll: 1, trustedProxies: [] }

const fromRequest = Effect.provideService(HandledRequest, { headers: {}, socket: { remoteAddress: "203.0.113.9" } })

/** What became of the same event, recorded so often for a request: how many were accepted, and why the others were not. */
const record = ({ log }: Trail, number: number, event: AuditEvent) =>
  Effect.forEach(Array.from({ length: number }), () => Effect.either(log.record(event))).pipe(
    fromRequest,
    Effect.map((all) => ({
      accepted: all.filter(Either.isRight).length,
      refused: [...new Set(all.flatMap((one) => (Either.isLeft(one) ? [one.left.reason] : [])))]
    }))
  )

const blocked =
  (gate: Effect.Latch): Around =>
  (store) => ({
    ...store,
    append: (rows, options) => Effect.zipRight(gate.await, store.append(rows, options))
  })

const countIn = (rows: ReadonlyArray<Row>): number =>
  rows.reduce((sum, { metadata }) => sum + Number(Object(metadata).count), 0)

const summaries = "select reason, metadata from gatekeeper.audit_log where result = 'LIMITED' order by id"

it.scopedLive("strangers fill half of the queue; the other half is for authenticated callers", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const gate = yield* Effect.makeLatch(false)
    const trail = yield* openTrail(url, { queueCapacity: 10, failures: unlimited }, blocked(gate))
    expect(yield* record(trail, 20, failure)).toEqual({ accepted: 5, refused: ["limited"] })
    expect(yield* record(trail, 2, anEvent)).toEqual({ accepted: 2, refused: [] })
    expect(yield* record(trail, 1, failure)).toEqual({ accepted: 0, refused: ["limited"] })
    yield* gate.open
    yield* settled(trail.log)
    const rows = yield* untilRows(url, summaries, (found) => found.length > 0)
    expect(rows).toMatchObject([
      { metadata: { count: 16, by_reason: { share: 16 }, by_network: { "203.0.113.9": 16 } } }
    ])
    expect(isConserved(yield* trail.log.status)).toBe(true)
  })
)

it.scopedLive("strangers fill half of the journal; authenticated callers go on to its bound", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const gate = yield* Effect.makeLatch(false)
    const options = journaled(yield* journalFolder, "journal", { maxBytes: 256 * 2 ** 10 })
    const trail = yield* openTrail(url, { ...options, failures: unlimited }, blocked(gate))
    const strangers = yield* record(trail, 2_000, failure)
    expect(strangers.refused).toEqual(["limited"])
    const { journal } = yield* trail.log.status
    expect(journal?.bytes).toBeGreaterThan(100 * 2 ** 10)
    expect(journal?.bytes).toBeLessThan(140 * 2 ** 10)
    const authenticated = yield* record(trail, 2_000, anEvent)
    expect(authenticated.refused).toEqual(["full"])
    expect(authenticated.accepted).toBeGreaterThan(strangers.accepted / 2)
    yield* gate.open
    yield* settled(trail.log)
    // A summary that found no room waits for it.
    const limited = 2_000 - strangers.accepted
    const rows = yield* untilRows(url, summaries, (found) => countIn(found) >= limited)
    expect(countIn(rows)).toBe(limited)
  })
)

it.scopedLive("only failures of requests are limited, and only those whose caller is unknown", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const trail = yield* openTrail(url, { failures: fewest })
    expect(yield* record(trail, 20, failure)).toEqual({ accepted: 5, refused: ["limited"] })
    expect(yield* record(trail, 20, anEvent)).toEqual({ accepted: 20, refused: [] })
    const known: AuditEvent = { ...failure, result: "INVALID", isAuthenticated: true }
    expect(yield* record(trail, 20, known)).toEqual({ accepted: 20, refused: [] })
    yield* Effect.forEach(Array.from({ length: 20 }), () => trail.log.record({ ...failure, result: "DENIED" }))
    yield* settled(trail.log)
    expect(
      yield* query(
        url,
        `select result, count(*)::integer, count(metadata ->> 'client_address')::integer as addresses
         from gatekeeper.audit_log where result <> 'LIMITED' group by result order by result`
      )
    ).toEqual([
      { result: "ALLOWED", count: 20, addresses: 0 },
      { result: "DENIED", count: 20, addresses: 0 },
      { result: "INVALID", count: 20, addresses: 0 },
      { result: "UNAUTHENTICATED", count: 5, addresses: 5 }
    ])
  })
)

it.scopedLive("a trail that stops writes its last summary, also where it has room only at the end", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const gate = yield* Effect.makeLatch(false)
    const trail = yield* openTrail(url, { queueCapacity: 4, failures: unlimited }, blocked(gate))
    expect(yield* record(trail, 10, failure)).toEqual({ accepted: 2, refused: ["limited"] })
    expect(yield* record(trail, 10, anEvent)).toEqual({ accepted: 2, refused: ["full"] })
    const end = yield* Effect.fork(trail.shutdown)
    yield* gate.open
    yield* end.await
    expect(yield* query(url, summaries)).toMatchObject([{ metadata: { count: 8 } }])
    expect(yield* query(url, "select signed_off_seq::integer from gatekeeper.audit_source")).toEqual([
      { signed_off_seq: 5 }
    ])
  })
)

it.scopedLive("a process that was killed before its summary lost counts, and its recovery says so, once", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const directory = yield* journalFolder
    const counts = { lastSeq: 3, refused: 0, shed: 0 }
    const limiting = yield* leaveJournal(url, directory, 3, { counts: { ...counts, limiting: true } })
    yield* leaveJournal(url, directory, 3, { counts })
    const trail = yield* openTrail(url, journaled(directory))
    yield* until(trail.log, ({ journal }) => journal?.others.adopted === 2)
    expect(
      yield* query(url, "select resource, reason, metadata from gatekeeper.audit_log where result = 'LIMITED'")
    ).toEqual([
      {
        resource: `audit/sources/${limiting.source}`,
        reason: expect.stringContaining("what it counted after its last summary"),
        metadata: { source: limiting.source, count: null }
      }
    ])
  })
)
