import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { canonicalJson, type HashedRow } from "../../src/audit/encoding/AuditRow.ts"
import * as PostgresAuditStore from "../../src/audit/store/PostgresAuditStore.ts"
import { rowsOf } from "../support/AuditEvents.ts"
import { gatekeeperDownTo, gatekeeperUp, gatekeeperUpTo } from "../support/GatekeeperSchema.ts"
import { freshDatabase } from "../support/TestDatabase.ts"
import { query } from "../support/Trail.ts"

/** The statements of the program at revision 0002, to the letter. */
const old = {
  register: `
  insert into gatekeeper.audit_source as known (source, host, pid, started_at)
  values ($1, $2, $3, $4)
  on conflict (source) do update set host = excluded.host, pid = excluded.pid, started_at = excluded.started_at`,
  advance: `
  insert into gatekeeper.audit_source as known (source, last_seq, last_at)
  values ($1, $2, clock_timestamp())
  on conflict (source) do update
  set last_seq = greatest(known.last_seq, excluded.last_seq), last_at = excluded.last_at`,
  deadLetter: `
  insert into gatekeeper.audit_dead_letter (event_id, leaf_hash, source, seq, body, sqlstate, reason, attempts)
  values ($1, decode($2, 'hex'), $3, $4, $5, $6, $7, $8)
  on conflict (event_id, leaf_hash) do nothing`,
  signOff: `
  insert into gatekeeper.audit_source as known
    (source, host, pid, started_at, signed_off_seq, signed_off_at, shed, refused, unwritten, in_doubt)
  values ($1, $2, $3, $4, $5, clock_timestamp(), $6, $7, $8, $9)
  on conflict (source) do update
  set host = excluded.host, pid = excluded.pid, started_at = excluded.started_at,
    signed_off_seq = excluded.signed_off_seq,
    signed_off_at = coalesce(known.signed_off_at, excluded.signed_off_at),
    shed = excluded.shed, refused = excluded.refused, unwritten = excluded.unwritten, in_doubt = excluded.in_doubt`
}

const write = (url: Redacted.Redacted, row: HashedRow) =>
  Effect.zipRight(
    query(
      url,
      `insert into gatekeeper.audit_log (id, timestamp, source, seq, result, metadata, marks, leaf_hash)
       values ($1, now(), $2, $3, 'ALLOWED', '{}', '{}', decode($4, 'hex'))`,
      [row.id, row.source, row.seq, row.leafHash]
    ),
    query(url, old.advance, [row.source, row.seq])
  )

const refuse = (url: Redacted.Redacted, row: HashedRow) =>
  Effect.zipRight(
    query(url, old.deadLetter, [
      ...[row.id, row.leafHash, row.source, row.seq],
      ...[Buffer.from(canonicalJson(row)), "22021", "test", 1]
    ]),
    query(url, old.advance, [row.source, row.seq])
  )

const counts = (url: Redacted.Redacted, source: string | undefined) =>
  Effect.map(
    query(
      url,
      `select committed::integer, dead_lettered::integer as letters, replayed::integer, counted
       from gatekeeper.audit_source where source = $1`,
      [source]
    ),
    ([row]) => row
  )

const definitions = (url: Redacted.Redacted) =>
  query(
    url,
    `select proname, pg_get_functiondef(oid) as text from pg_proc
     where pronamespace = 'gatekeeper'::regnamespace order by proname`
  )

it.scopedLive(
  "rows from before the counters are counted when they come, and what came into the trail late is replayed",
  () =>
    Effect.gen(function* () {
      const url = yield* freshDatabase
      yield* gatekeeperUpTo(url, 2)
      const former = yield* definitions(url)
      const [many, few] = [rowsOf(6), rowsOf(1)]
      for (const row of [...many.slice(0, 4), ...few]) yield* write(url, row)
      for (const row of many.slice(4)) yield* refuse(url, row)
      // The last one was written after all.
      for (const row of many.slice(5)) yield* write(url, row)
      yield* gatekeeperUp(url)
      const expected = { committed: 5, letters: 2, replayed: 1, counted: true }
      expect(yield* counts(url, many[0]?.source)).toEqual(expected)
      expect(yield* counts(url, few[0]?.source)).toEqual({ committed: 1, letters: 0, replayed: 0, counted: true })
      expect(yield* query(url, "select event_id, outcome from gatekeeper.audit_dead_letter_replay")).toEqual([
        { event_id: many[5]?.id, outcome: "present" }
      ])
      yield* gatekeeperDownTo(url, 2)
      expect(yield* definitions(url)).toEqual(former)
      yield* gatekeeperUp(url)
      expect(yield* counts(url, many[0]?.source)).toEqual(expected)
    })
)

it.scopedLive("the program of the revision before goes on working, and its sources are marked as not counted", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    yield* gatekeeperUpTo(url, 2)
    const [begun, later] = [rowsOf(4), rowsOf(3)]
    const [first, ...others] = begun
    if (first === undefined) return
    const identity = [first.source, "here", 1, new Date(0)]
    yield* query(url, old.register, identity)
    yield* write(url, first)
    yield* gatekeeperUp(url)
    expect(yield* counts(url, first.source)).toMatchObject({ committed: 1, counted: true })
    yield* query(url, old.register, identity)
    for (const row of others.slice(0, 2)) yield* write(url, row)
    for (const row of others.slice(2)) yield* refuse(url, row)
    yield* query(url, old.signOff, [...identity, 4, 0, 0, 0, 0])
    yield* query(url, old.signOff, [...identity, 4, 0, 0, 0, 0])
    expect(yield* counts(url, first.source)).toMatchObject({ counted: false })
    // One that begins on the new schema has counted nothing of what it wrote.
    for (const row of later) yield* write(url, row)
    expect(yield* counts(url, later[0]?.source)).toMatchObject({ counted: false })
    // This program's own are counted beside them.
    const store = yield* PostgresAuditStore.make({ url })
    const own = rowsOf(3)
    yield* store.append(own, { certain: true })
    yield* store.append(own, { certain: false })
    expect(yield* counts(url, own[0]?.source)).toEqual({ committed: 3, letters: 0, replayed: 0, counted: true })
  })
)
