import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as PostgresAuditStore from "../../src/audit/store/PostgresAuditStore.ts"
import { retryClass } from "../../src/audit/store/RetryClass.ts"
import { rowsOf } from "../support/AuditEvents.ts"
import { gatekeeperDatabase, query, recordedIds } from "../support/Trail.ts"

const certain = { certain: true }

const trailOf = (url: Redacted.Redacted) =>
  Effect.map(query(url, "select id from gatekeeper.audit_trail"), ([row]) => String(row?.["id"]))

/** As a restored copy of another database would: its sessions end, and the next ones find another trail. */
const replaceTrail = (url: Redacted.Redacted) =>
  query(
    url,
    `begin;
     alter table gatekeeper.audit_trail disable trigger all;
     update gatekeeper.audit_trail set id = gen_random_uuid();
     alter table gatekeeper.audit_trail enable always trigger audit_trail_append_only;
     commit;
     select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and application_name like 'gravitas audit%'`
  )

it.scopedLive("a database of another trail gets no row, not a word of the incarnation, and both trails are named", () =>
  Effect.gen(function* () {
    const [own, other] = [yield* gatekeeperDatabase, yield* gatekeeperDatabase]
    const belongs = yield* trailOf(own)
    const found = yield* trailOf(other)
    const store = yield* PostgresAuditStore.make({ url: other, trail: belongs })
    const incarnation = {
      source: crypto.randomUUID(),
      host: "here",
      pid: 1,
      startedAt: 0,
      bootId: "boot",
      durability: "journal"
    }
    const errors = [
      yield* Effect.flip(store.append(rowsOf(1), certain)),
      yield* Effect.flip(store.register(incarnation)),
      yield* Effect.flip(store.closeUnknown(incarnation.source, 1, { refused: 0, shed: 0, quarantined: 0 })),
      yield* Effect.flip(store.trail)
    ]
    for (const error of errors) {
      expect([error.phase, error.sqlstate, retryClass(error)]).toEqual(["connect", "3D000", "set-up"])
      expect(error.message).toContain(`this database holds the audit trail ${found}; these events belong to ${belongs}`)
    }
    expect(yield* recordedIds(other)).toEqual([])
    expect(yield* query(other, "select from gatekeeper.audit_source")).toEqual([])
  })
)

it.scopedLive("the trail of the database is told, and its own events are written", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const trail = yield* trailOf(url)
    const store = yield* PostgresAuditStore.make({ url, trail })
    expect(yield* store.trail).toBe(trail)
    yield* store.append(rowsOf(2), certain)
    expect((yield* recordedIds(url)).length).toBe(2)
  })
)

it.scopedLive(
  "a database that is replaced under a living process gets none of its events, and takes them once it is back",
  () =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const belongs = yield* trailOf(url)
      // Not told which trail it writes: it keeps to the first that it finds.
      const store = yield* PostgresAuditStore.make({ url })
      const rows = rowsOf(3)
      yield* store.append(rows.slice(0, 1), certain)
      yield* replaceTrail(url)
      yield* Effect.flip(store.append(rows.slice(1, 2), certain))
      const paused = yield* Effect.flip(store.append(rows.slice(1, 2), certain))
      expect(paused).toMatchObject({ phase: "connect", sqlstate: "3D000" })
      expect(paused.message).toContain(yield* trailOf(url))
      expect(paused.message).toContain(belongs)
      expect((yield* recordedIds(url)).length).toBe(1)
      yield* query(
        url,
        `begin;
       alter table gatekeeper.audit_trail disable trigger all;
       update gatekeeper.audit_trail set id = '${belongs}';
       alter table gatekeeper.audit_trail enable always trigger audit_trail_append_only;
       commit`
      )
      yield* store.append(rows.slice(1), certain)
      expect(yield* recordedIds(url)).toEqual(rows.map((row) => row.id))
    })
)
