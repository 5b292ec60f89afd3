import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import { makeUuidV7 } from "../../src/audit/encoding/AuditId.ts"
import * as PostgresAuditStore from "../../src/audit/store/PostgresAuditStore.ts"
import { connect } from "../../src/platform/postgres/Connection.ts"
import { rowsOf } from "../support/AuditEvents.ts"
import { gatekeeperDatabase, query } from "../support/Trail.ts"

const day = 24 * 60 * 60 * 1_000
const idAt = (millis: number) => makeUuidV7((bytes) => crypto.getRandomValues(bytes))(millis)

const partitionsOf = (url: Redacted.Redacted) =>
  Effect.map(
    query(
      url,
      `select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
       where i.inhparent = 'gatekeeper.audit_log'::regclass order by 1`
    ),
    (rows) => rows.map((row) => String(row["name"]))
  )

/** `audit_log_2026_11` of the month that is `ahead` months from this one. */
const partitionName = (ahead: number): string => {
  const now = new Date()
  return `audit_log_${new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead)).toISOString().slice(0, 7).replace("-", "_")}`
}

it.scopedLive("a partition whose detaching is under way is an error of the schema, not of the event", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const reader = yield* connect({ url, applicationName: "reader" })
    yield* reader.query("begin")
    yield* reader.query("select count(*) from gatekeeper.audit_log")
    const detacher = yield* connect({ url, applicationName: "detacher" })
    // It waits for the reader in its second half, and is stopped there.
    yield* detacher.query("set statement_timeout = 500")
    const partition = `gatekeeper.${partitionName(0)}`
    yield* Effect.flip(detacher.query(`alter table gatekeeper.audit_log detach partition ${partition} concurrently`))
    yield* reader.query("rollback")
    const making = query(url, "select gatekeeper.audit_make_partition($1)", [idAt(Date.now())])
    expect((yield* Effect.flip(making)).sqlstate).toBe("42P16")
  })
)

it.scopedLive("a partition begins and ends with its month in UTC, whatever the server's time zone", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const database = new URL(Redacted.value(url)).pathname.slice(1)
    yield* query(url, `alter database ${database} set timezone = 'Pacific/Kiritimati'`)
    const now = new Date()
    const edge = (ahead: number) => Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead)
    const moments = [edge(-3), edge(-2) - 1, edge(-2), edge(-1) - 1]
    const rows = moments.flatMap((timestamp) => rowsOf(1, { timestamp }))
    for (const row of rows) yield* query(url, "select gatekeeper.audit_make_partition($1)", [row.id])
    const store = yield* PostgresAuditStore.make({ url })
    for (const row of rows) yield* store.append([row], { certain: true })
    expect(yield* query(url, "select tableoid::regclass::text as name from gatekeeper.audit_log order by id")).toEqual(
      [-3, -3, -2, -2].map((ahead) => ({ name: `gatekeeper.${partitionName(ahead)}` }))
    )
  })
)

it.scopedLive("an id may be an hour ahead of the database's clock, and no more", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const minute = 60 * 1_000
    const made = (moment: number) =>
      Effect.map(query(url, "select gatekeeper.audit_make_partition($1) as made", [idAt(moment)]), ([row]) => row)
    expect(yield* made(Date.now() + 55 * minute)).toEqual({ made: true })
    expect(yield* made(Date.now() + 65 * minute)).toEqual({ made: false })
    expect(yield* made(Date.now() - 399 * day)).toEqual({ made: true })
    expect(yield* made(Date.now() - 401 * day)).toEqual({ made: false })
  })
)

it.scopedLive("this month and the next two have their partitions from the start", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    expect(yield* partitionsOf(url)).toEqual([partitionName(0), partitionName(1), partitionName(2)])
  })
)

it.scopedLive("eight makers of one partition at once all succeed, and make one", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const id = idAt(Date.now() - 100 * day)
    const made = yield* Effect.all(
      Array.from({ length: 8 }, () => query(url, "select gatekeeper.audit_make_partition($1) as made", [id])),
      { concurrency: 8 }
    )
    expect(made.flat()).toEqual(Array.from({ length: 8 }, () => ({ made: true })))
    expect((yield* partitionsOf(url)).length).toBe(4)
  })
)

it.scopedLive("an id from the future or from before the trail's memory makes no partition", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    for (const moment of [Date.now() + 2 * 60 * 60 * 1_000, Date.now() + 90 * day, Date.now() - 401 * day, 0]) {
      expect(yield* query(url, "select gatekeeper.audit_make_partition($1) as made", [idAt(moment)])).toEqual([
        { made: false }
      ])
    }
    expect((yield* partitionsOf(url)).length).toBe(3)
  })
)

it.scopedLive("a partition is made beside a reader and a writer whose transactions stay open", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const reader = yield* connect({ url, applicationName: "reader" })
    yield* reader.query("begin")
    yield* reader.query("select count(*) from gatekeeper.audit_log")
    yield* reader.query("update gatekeeper.audit_source set host = host")
    yield* reader.query("lock table gatekeeper.audit_log in row exclusive mode")
    const id = idAt(Date.now() - 60 * day)
    const making = yield* Effect.fork(query(url, "select gatekeeper.audit_make_partition($1) as made", [id]))
    expect(yield* Fiber.join(making).pipe(Effect.timeout("20 seconds"))).toEqual([{ made: true }])
    yield* reader.query("rollback")
  })
)
