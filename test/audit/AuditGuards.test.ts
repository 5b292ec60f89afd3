import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { makeUuidV7 } from "../../src/audit/encoding/AuditId.ts"
import { gatekeeperDatabase, openTrail, query, recordedIds, recordMany, settled } from "../support/Trail.ts"

const idAt = (millis: number) => makeUuidV7((bytes) => crypto.getRandomValues(bytes))(millis)

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
      "truncate gatekeeper.audit_dead_letter",
      "update gatekeeper.audit_dead_letter_replay set outcome = 'replayed'",
      "delete from gatekeeper.audit_dead_letter_replay",
      "truncate gatekeeper.audit_dead_letter_replay"
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

it.scopedLive("counts of a source only grow, and who it is and where it was closed stand", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const change = (set: string) => query(url, `update gatekeeper.audit_source set ${set}`)
    yield* query(
      url,
      `insert into gatekeeper.audit_source
         (source, last_seq, boot_id, durability, committed, dead_lettered, replayed, quarantined, checked_seq, lost, seen_at)
       values ($1, 9, 'a', 'journal', 5, 4, 3, 2, 8, 1, now())`,
      [crypto.randomUUID()]
    )
    const counters = ["committed", "dead_lettered", "replayed", "quarantined", "checked_seq", "lost"]
    const refused = [
      ...counters.map((counter) => `${counter} = ${counter} - 1`),
      "boot_id = 'b'",
      "boot_id = null",
      "durability = 'memory'",
      "seen_at = seen_at - interval '1 second'",
      "seen_at = null"
    ]
    for (const set of refused) expect([set, (yield* Effect.flip(change(set))).sqlstate]).toEqual([set, "42501"])
    for (const counter of counters) yield* change(`${counter} = ${counter} + 1`)
    yield* change("unsigned_after = 9")
    yield* change("unsigned_after = 9, last_seq = 12, committed = committed + 3")
    for (const set of ["unsigned_after = 10", "unsigned_after = null"]) {
      expect([set, (yield* Effect.flip(change(set))).sqlstate]).toEqual([set, "42501"])
    }
    // A last number that grows uncounted marks the source for good.
    expect(yield* query(url, "select counted from gatekeeper.audit_source")).toEqual([{ counted: true }])
    yield* change("last_seq = 13")
    expect(yield* query(url, "select counted from gatekeeper.audit_source")).toEqual([{ counted: false }])
    expect((yield* Effect.flip(change("counted = true"))).sqlstate).toBe("42501")
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
      `grant select, insert on gatekeeper.audit_log, gatekeeper.audit_dead_letter, gatekeeper.audit_dead_letter_replay to ${role}`,
      `grant insert on gatekeeper.audit_intake to ${role}`,
      `grant select, insert on gatekeeper.audit_source to ${role}`,
      `grant update (host, pid, started_at, last_seq, last_at, signed_off_seq, signed_off_at, shed, refused, unwritten, in_doubt,
       boot_id, durability, seen_at, committed, dead_lettered, replayed, quarantined, checked_seq, lost, unsigned_after)
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
