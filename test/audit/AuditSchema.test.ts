import { createHash } from "node:crypto"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { AuditId } from "../../src/audit/AuditId.ts"
import { canonicalJson } from "../../src/audit/AuditRow.ts"
import { encodeCanonical } from "../../src/audit/CanonicalJson.ts"
import * as PostgresAuditStore from "../../src/audit/PostgresAuditStore.ts"
import { makeUuidV7 } from "../../src/audit/UuidV7.ts"
import { connect } from "../../src/platform/Connection.ts"
import { gatekeeperDown, gatekeeperUp } from "../support/GatekeeperSchema.ts"
import { freshDatabase } from "../support/TestDatabase.ts"
import { anEvent, rowsOf } from "./Events.ts"
import { gatekeeperDatabase, openTrail, query, recordedIds, recordMany, settled } from "./Trail.ts"

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

it.scopedLive("rows of the trail cannot be changed, deleted or truncated, through the table or a partition", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const trail = yield* openTrail(url)
    const ids = yield* recordMany(trail.log, 3)
    yield* settled(trail.log)
    for (const table of ["audit_log", partitionName(0)]) {
      for (const statement of [
        `update gatekeeper.${table} set result = 'DENIED'`,
        `delete from gatekeeper.${table}`,
        `truncate gatekeeper.${table}`
      ]) {
        const error = yield* Effect.flip(query(url, statement))
        expect([statement, error.sqlstate, error.reason]).toEqual([
          statement,
          "42501",
          expect.stringContaining("append-only")
        ])
      }
    }
    for (const statement of [
      "insert into gatekeeper.audit_trail (singleton) values (true)",
      "update gatekeeper.audit_trail set id = gen_random_uuid()",
      "delete from gatekeeper.audit_trail",
      "update gatekeeper.audit_dead_letter set reason = ''",
      "delete from gatekeeper.audit_dead_letter",
      "truncate gatekeeper.audit_dead_letter"
    ]) {
      expect((yield* Effect.flip(query(url, statement))).sqlstate).toBe("42501")
    }
    expect(yield* recordedIds(url)).toEqual(ids)
  })
)

/** Each in a transaction of its own, as a superuser in replica mode, in which ordinary triggers do not fire. */
const inReplicaMode = (url: Redacted.Redacted, statement: string) =>
  query(url, `begin; set local session_replication_role = replica; ${statement}; commit`)

it.scopedLive("the guards hold in replica mode too", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const trail = yield* openTrail(url)
    const ids = yield* recordMany(trail.log, 3)
    yield* settled(trail.log)
    for (const statement of [
      "update gatekeeper.audit_log set result = 'DENIED'",
      "delete from gatekeeper.audit_log",
      "truncate gatekeeper.audit_log",
      `update gatekeeper.${partitionName(0)} set result = 'DENIED'`,
      `truncate gatekeeper.${partitionName(0)}`,
      "delete from gatekeeper.audit_dead_letter",
      "update gatekeeper.audit_trail set id = gen_random_uuid()",
      "update gatekeeper.audit_source set last_seq = 0",
      "delete from gatekeeper.audit_source"
    ]) {
      const error = yield* Effect.flip(inReplicaMode(url, statement))
      expect([statement, error.sqlstate]).toEqual([statement, "42501"])
    }
    expect(yield* recordedIds(url)).toEqual(ids)
  })
)

it.scopedLive("a partition that is detached keeps its guards", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const trail = yield* openTrail(url)
    yield* recordMany(trail.log, 3)
    yield* settled(trail.log)
    const partition = `gatekeeper.${partitionName(0)}`
    yield* query(url, `alter table gatekeeper.audit_log detach partition ${partition}`)
    for (const statement of [
      `update ${partition} set result = 'DENIED'`,
      `delete from ${partition}`,
      `truncate ${partition}`
    ]) {
      expect((yield* Effect.flip(query(url, statement))).sqlstate).toBe("42501")
      expect((yield* Effect.flip(inReplicaMode(url, statement))).sqlstate).toBe("42501")
    }
    const making = query(url, "select gatekeeper.audit_make_partition($1)", [idAt(Date.now())])
    expect((yield* Effect.flip(making)).sqlstate).toBe("42P16")
  })
)

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

it.scopedLive("what a source has said of itself stands, and only its last number grows", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const source = crypto.randomUUID()
    yield* query(url, "insert into gatekeeper.audit_source (source, last_seq) values ($1, 5)", [source])
    yield* query(url, "update gatekeeper.audit_source set host = 'a', pid = 1, started_at = now()")
    yield* query(url, "update gatekeeper.audit_source set last_seq = 6, last_at = now(), host = 'a'")
    const refused = [
      "update gatekeeper.audit_source set last_seq = 5",
      "update gatekeeper.audit_source set host = 'b'",
      "update gatekeeper.audit_source set source = gen_random_uuid()",
      "delete from gatekeeper.audit_source",
      "truncate gatekeeper.audit_source"
    ]
    for (const statement of refused) {
      expect([statement, (yield* Effect.flip(query(url, statement))).sqlstate]).toEqual([statement, "42501"])
    }
    yield* query(
      url,
      `update gatekeeper.audit_source
       set signed_off_seq = 7, signed_off_at = now(), shed = 0, refused = 0, unwritten = 1, in_doubt = 0`
    )
    for (const change of ["signed_off_seq = 6", "signed_off_seq = null", "unwritten = 0", "in_doubt = 1", "shed = 1"]) {
      expect((yield* Effect.flip(query(url, `update gatekeeper.audit_source set ${change}`))).sqlstate).toBe("42501")
    }
    // The same again, and rows of a buffer that outlived the process.
    yield* query(url, "update gatekeeper.audit_source set signed_off_seq = 7, unwritten = 1, last_seq = 7")
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
    expect(yield* Fiber.join(making).pipe(Effect.timeout("5 seconds"))).toEqual([{ made: true }])
    yield* reader.query("rollback")
  })
)

it.scopedLive("an application role that owns nothing writes the trail and makes partitions, and no more", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const role = `app_${crypto.randomUUID().replaceAll("-", "")}`
    yield* Effect.acquireRelease(query(url, `create role ${role} login password 'app'`), () =>
      Effect.orDie(Effect.zipRight(query(url, `drop owned by ${role}`), query(url, `drop role ${role}`)))
    )
    for (const grant of [
      `grant usage on schema gatekeeper to ${role}`,
      `grant select, insert on gatekeeper.audit_log, gatekeeper.audit_dead_letter to ${role}`,
      `grant select, insert on gatekeeper.audit_source to ${role}`,
      `grant update (host, pid, started_at, last_seq, last_at, signed_off_seq, signed_off_at, shed, refused, unwritten, in_doubt)
       on gatekeeper.audit_source to ${role}`,
      `grant select on gatekeeper.audit_trail to ${role}`
    ]) {
      yield* query(url, grant)
    }
    const asRole = new URL(Redacted.value(url))
    asRole.username = role
    asRole.password = "app"
    const application = Redacted.make(asRole.href)
    yield* query(url, `drop table gatekeeper.${partitionName(0)}`)
    const trail = yield* openTrail(application)
    const ids = yield* recordMany(trail.log, 5)
    yield* settled(trail.log)
    yield* trail.shutdown
    expect(yield* recordedIds(application)).toEqual(ids)
    for (const statement of [
      "update gatekeeper.audit_log set result = ''",
      "select gatekeeper.audit_make_month('2030-01-01')",
      "drop trigger audit_log_append_only on gatekeeper.audit_log",
      `insert into gatekeeper.${partitionName(0)} default values`
    ]) {
      expect((yield* Effect.flip(query(application, statement))).sqlstate).toBe("42501")
    }
  })
)

it.scopedLive("going down removes everything that going up made", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    yield* gatekeeperUp(url)
    yield* gatekeeperDown(url)
    const left = yield* query(
      url,
      `select relname::text as name from pg_class where relnamespace = 'gatekeeper'::regnamespace
       union all select proname::text from pg_proc where pronamespace = 'gatekeeper'::regnamespace
       union all select typname::text from pg_type where typnamespace = 'gatekeeper'::regnamespace`
    )
    // The migrator's own tables, which tell of the way there and back, stay.
    expect(left.filter(({ name }) => !/schema_(history|event|version)/.test(String(name)))).toEqual([])
    yield* gatekeeperUp(url)
  })
)

it.scopedLive("every trail has an id of its own", () =>
  Effect.gen(function* () {
    const [one, other] = [yield* gatekeeperDatabase, yield* gatekeeperDatabase]
    const idOf = (url: Redacted.Redacted) => query(url, "select id from gatekeeper.audit_trail")
    const ids = [...(yield* idOf(one)), ...(yield* idOf(other))]
    expect(ids.length).toBe(2)
    expect(ids[0]).not.toEqual(ids[1])
  })
)

it.scopedLive("the hash of a row can be made again from what the table holds", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const trail = yield* openTrail(url)
    yield* trail.log.record({ ...anEvent, resource: "x".repeat(300), metadata: { "\ud83d\ude00": 1.5e-7, a: ["\0"] } })
    yield* settled(trail.log)
    const [row] = yield* query(
      url,
      "select *, encode(leaf_hash, 'hex') as hash, seq::integer as number from gatekeeper.audit_log"
    )
    const text = (key: string) => (row?.[key] === null ? null : String(row?.[key]))
    const marks = row?.["marks"]
    const timestamp = row?.["timestamp"]
    const json = canonicalJson({
      id: yield* Schema.decodeUnknown(AuditId)(row?.["id"]),
      timestamp: timestamp instanceof Date ? timestamp.getTime() : 0,
      source: String(row?.["source"]),
      seq: Number(row?.["number"]),
      ghostId: text("ghost_id"),
      shellId: text("shell_id"),
      action: text("action"),
      resource: text("resource"),
      result: String(row?.["result"]),
      reason: text("reason"),
      requestId: text("request_id"),
      metadata: encodeCanonical(row?.["metadata"], { depth: 20, members: 2_000, size: 100_000, key: 300 }).json,
      marks: Array.isArray(marks) ? marks.map(String) : []
    })
    expect(createHash("sha256").update(json, "utf8").digest("hex")).toBe(row?.["hash"])
  })
)
