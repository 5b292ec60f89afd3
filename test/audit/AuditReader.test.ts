import * as Reactivity from "@effect/experimental/Reactivity"
import * as PgClient from "@effect/sql-pg/PgClient"
import { expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { AuditReader, type EventQuery } from "../../src/audit/AuditReader.ts"
import * as PostgresAuditStore from "../../src/audit/store/PostgresAuditStore.ts"
import { connect } from "../../src/platform/postgres/Connection.ts"
import { anEvent, rowsOf } from "../support/AuditEvents.ts"
import { gatekeeperUp } from "../support/GatekeeperSchema.ts"
import { testPostgres } from "../support/TestPostgres.ts"
import { gatekeeperDatabase, query } from "../support/Trail.ts"

const openReader = (url: Redacted.Redacted, deadline: Duration.DurationInput = "5 seconds") =>
  Effect.gen(function* () {
    const sql = yield* PgClient.make({ url, maxConnections: 3 }).pipe(Effect.provide(Reactivity.layer))
    return Context.get(yield* Layer.build(AuditReader.layerClient({ sql, deadline })), AuditReader)
  })

/** Every page, one after the other. */
const allPages = (reader: typeof AuditReader.Service, asked: Omit<EventQuery, "cursor">) =>
  Effect.gen(function* () {
    const pages: Array<ReadonlyArray<string>> = []
    let cursor: string | undefined
    do {
      const page = yield* reader.events({ ...asked, cursor })
      pages.push(page.events.map((event) => event.id))
      cursor = page.next ?? undefined
    } while (cursor !== undefined)
    return pages
  })

const ghosts = ["Scout", "Librarian", "a\0b"] as const
const results = ["ALLOWED", "DENIED"] as const

/** A trail of `number` rows, one a minute, that differ in ghost, action, resource and result. */
const filled = (number: number) =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const store = yield* PostgresAuditStore.make({ url })
    const now = Date.now()
    const rows = Array.from({ length: number }, (_, index) =>
      rowsOf(1, {
        timestamp: now - (number - index) * 60_000,
        event: {
          ...anEvent,
          ghostId: ghosts[index % 3] ?? null,
          action: index % 4 === 0 ? "read" : "execute",
          resource: `vaults/${index % 5}`,
          result: results[index % 2] ?? "ALLOWED",
          requestId: index % 9 === 0 ? null : `request ${index % 7}`
        }
      })
    ).flat()
    for (const row of rows) yield* store.makePartition(row.id)
    yield* store.append(rows, { certain: false })
    return { url, rows }
  })

it.scopedLive("pages hold every row once, newest first, whatever their size", () =>
  Effect.gen(function* () {
    const { rows, url } = yield* filled(57)
    const reader = yield* openReader(url)
    const expected = rows.map((row) => row.id as string).reverse()
    for (const limit of [1, 7, 56, 57, 58, 1_000]) {
      const pages = yield* allPages(reader, { limit })
      expect(pages.flat()).toEqual(expected)
      expect(pages.slice(0, -1).every((page) => page.length === limit)).toBe(true)
      expect(pages.at(-1)?.length).toBeGreaterThan(0)
    }
  })
)

it.scopedLive("all given conditions hold, and none that fits is missing", () =>
  Effect.gen(function* () {
    const { rows, url } = yield* filled(60)
    const reader = yield* openReader(url)
    const optional = <A>(values: ReadonlyArray<A>) => FastCheck.constantFrom(undefined, ...values)
    const moments = rows.flatMap((row) => [row.timestamp, row.timestamp + 1])
    const questions = FastCheck.sample(
      FastCheck.record({
        ghostId: optional([...ghosts, "Stranger"]),
        action: optional(["read", "execute"]),
        resource: optional(["vaults/1", "vaults/2"]),
        result: optional(results),
        requestId: optional(["request 1", "request 2"]),
        from: optional(moments),
        to: optional(moments)
      }),
      60
    )
    for (const { from, to, ...asked } of questions) {
      const found = yield* allPages(reader, {
        ...asked,
        from: from === undefined ? undefined : DateTime.unsafeMake(from),
        to: to === undefined ? undefined : DateTime.unsafeMake(to),
        limit: 11
      })
      const expected = rows.filter(
        (row) =>
          (asked.ghostId === undefined || row.ghostId === asked.ghostId.replace("\0", "\ufffd")) &&
          (asked.action === undefined || row.action === asked.action) &&
          (asked.resource === undefined || row.resource === asked.resource) &&
          (asked.result === undefined || row.result === asked.result) &&
          (asked.requestId === undefined || row.requestId === asked.requestId) &&
          (from === undefined || row.timestamp >= from) &&
          (to === undefined || row.timestamp < to)
      )
      expect(found.flat()).toEqual(expected.map((row) => row.id as string).reverse())
    }
  })
)

it.scopedLive("a row comes back with its zone, its metadata as an object, and its hash", () =>
  Effect.gen(function* () {
    const { rows, url } = yield* filled(1)
    const reader = yield* openReader(url)
    const row = rows[0]
    const page = yield* reader.events({ limit: 10 })
    expect(page.next).toBeNull()
    expect(page.events).toMatchObject([
      { id: row?.id, seq: 1, source: row?.source, metadata: { complexity: 5 }, marks: [], leafHash: row?.leafHash }
    ])
    expect(page.events.map((event) => DateTime.formatIso(event.timestamp))).toEqual([
      new Date(row?.timestamp ?? 0).toISOString()
    ])
  })
)

it.scopedLive("a reader returns a metadata key `__proto__` as it was recorded", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const store = yield* PostgresAuditStore.make({ url })
    const metadata: Readonly<Record<string, unknown>> = JSON.parse('{"__proto__":{"admin":true},"complexity":5}')
    yield* store.append(rowsOf(1, { event: { ...anEvent, metadata } }), { certain: true })
    const reader = yield* openReader(url)
    const { events } = yield* reader.events({ limit: 1 })
    expect(events.map((event) => Object.entries(event.metadata).toSorted())).toEqual([Object.entries(metadata)])
  })
)

it.scopedLive("a page of large rows ends before it exceeds its bytes, and its cursor leads to the rest", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    // As a process elsewhere could write them before the gatekeeper bounded them.
    const rows = rowsOf(9)
    const large = rows.map((row) => ({ ...row, metadata: JSON.stringify({ text: "x".repeat(3_000_000) }) }))
    yield* (yield* PostgresAuditStore.make({ url })).append(large, { certain: true })
    const pages = yield* allPages(yield* openReader(url, "30 seconds"), { limit: 40 })
    expect(pages.map(({ length }) => length)).toEqual([2, 2, 2, 2, 1])
    expect(pages.flat()).toEqual(rows.map(({ id }) => String(id)).reverse())
  })
)

it.scopedLive("a row says whose source it is of", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const store = yield* PostgresAuditStore.make({ url })
    const [own] = rowsOf(1)
    const [foreign] = rowsOf(1)
    if (own === undefined || foreign === undefined) throw new Error("no rows")
    yield* query(url, "insert into gatekeeper.audit_source (source, identity) values ($1, 'service:guardian')", [
      foreign.source
    ])
    yield* store.append([own], { certain: true })
    yield* store.append([foreign], { certain: true })
    const { events } = yield* (yield* openReader(url)).events({ limit: 10 })
    expect(Object.fromEntries(events.map(({ id, identity }) => [id, identity]))).toEqual({
      [own.id]: null,
      [foreign.id]: "service:guardian"
    })
  })
)

it.scopedLive("a range of time asks its own partitions alone: another that is locked does not hold it up", () =>
  Effect.gen(function* () {
    const { rows, url } = yield* filled(1)
    const reader = yield* openReader(url, "2 seconds")
    const [partition] = yield* query(url, "select tableoid::regclass::text as name from gatekeeper.audit_log")
    const holder = yield* connect({ url, applicationName: "holder" })
    yield* holder.query("begin")
    yield* holder.query(`lock table ${String(partition?.["name"])} in access exclusive mode`)
    const now = rows[0]?.timestamp ?? 0
    const old = { limit: 10, to: DateTime.unsafeMake(now - 300 * 24 * 60 * 60 * 1_000) }
    expect(yield* reader.events(old)).toEqual({ events: [], next: null })
    const coming = { limit: 10, from: DateTime.unsafeMake(now + 40 * 24 * 60 * 60 * 1_000) }
    expect(yield* reader.events(coming)).toEqual({ events: [], next: null })
    expect(yield* Effect.flip(reader.events({ limit: 10 }))).toMatchObject({ _tag: "TrailUnreachable" })
    yield* holder.query("rollback")
  })
)

it.scopedLive("a cursor that this trail did not give is refused", () =>
  Effect.gen(function* () {
    const { url } = yield* filled(1)
    const reader = yield* openReader(url)
    for (const cursor of ["", "x", "'; drop table", "AAAAAAAAAAAAAAAAAAAAAA", "\0"]) {
      expect(yield* Effect.flip(reader.events({ limit: 1, cursor }))).toMatchObject({ _tag: "UnreadableCursor" })
    }
  })
)

it.scopedLive("filters are values, never SQL", () =>
  Effect.gen(function* () {
    const { url } = yield* filled(3)
    const reader = yield* openReader(url)
    const hostile = "' or true --"
    const page = yield* reader.events({
      limit: 1_000_000,
      ghostId: hostile,
      action: hostile,
      resource: hostile,
      result: hostile,
      requestId: hostile
    })
    expect(page.events).toEqual([])
    const far = { from: DateTime.unsafeMake(-8.64e15), to: DateTime.unsafeMake(8.64e15) }
    expect((yield* reader.events({ limit: -5, ...far })).events.length).toBe(1)
  })
)

it.scopedLive(
  "a database that is away or hangs is an error within the deadline, never an empty page",
  () =>
    Effect.gen(function* () {
      const postgres = yield* testPostgres()
      yield* gatekeeperUp(postgres.url)
      const reader = yield* openReader(postgres.url, "1 second")
      expect((yield* reader.events({ limit: 1 })).events).toEqual([])
      yield* postgres.pause
      const [took, hung] = yield* Effect.timed(Effect.flip(reader.events({ limit: 1 })))
      yield* postgres.resume
      expect(hung).toMatchObject({ _tag: "TrailUnreachable" })
      expect(Duration.toMillis(took)).toBeLessThan(2_000)
      yield* postgres.stop
      expect(yield* Effect.flip(reader.events({ limit: 1 }))).toMatchObject({ _tag: "TrailUnreachable" })
    }),
  60_000
)
