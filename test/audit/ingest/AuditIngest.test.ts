import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { all, openLetters } from "../../support/DeadLetters.ts"
import { batchOf, eventOf, ids, ingestOf, isWhole, statuses } from "../../support/Ingests.ts"
import { tcpProxy } from "../../support/TcpProxy.ts"
import { gatekeeperDatabase, ledgerOf, query } from "../../support/Trail.ts"

it.scopedLive("an event is recorded once under its key, and says who brought it where the client cannot write", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const { ingest } = yield* ingestOf(url)
    const first = yield* ingest("planner", batchOf(3))
    expect(statuses(first)).toEqual(["recorded", "recorded", "recorded"])
    const second = yield* ingest("planner", batchOf(4))
    expect(statuses(second)).toEqual(["duplicate", "duplicate", "duplicate", "recorded"])
    expect(ids(second).slice(0, 3)).toEqual(ids(first))
    const rows = yield* query(url, "select id, seq::integer, metadata, marks from gatekeeper.audit_log order by id")
    expect(rows.map((row) => row["id"])).toEqual(ids(second))
    expect(rows.map((row) => row["seq"])).toEqual([1, 2, 3, 4])
    expect(rows[0]?.["metadata"]).toEqual({
      claimed: { content: "content" },
      ingest: { by: "planner", id: "event 0", occurred_at: "2026-01-31T12:00:00Z" }
    })
    expect(rows[0]?.["marks"]).toEqual(["metadata:reserved"])
    expect(yield* isWhole(url)).toMatchObject([{ identity: "planner", kind: "ingest", lastSeq: 4, committed: 4 }])
  })
)

it.scopedLive("the keys of one client are separate from those of another", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const { ingest } = yield* ingestOf(url)
    yield* ingest("planner", batchOf(2))
    expect(
      statuses(
        yield* ingest(
          "forger",
          batchOf(2).map((event) => ({ ...event, digest: "0".repeat(64) }))
        )
      )
    ).toEqual(["recorded", "recorded"])
    expect(yield* isWhole(url)).toHaveLength(2)
  })
)

it.scopedLive("of batches that come at once, each event is recorded once and all are told the same ids", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    // Several gatekeepers on one database.
    const gates = yield* Effect.forEach([1, 2, 3, 4], () => ingestOf(url))
    const batch = batchOf(200)
    const answers = yield* Effect.forEach(gates, ({ ingest }) => ingest("planner", batch), { concurrency: "unbounded" })
    for (const answer of answers) expect(ids(answer)).toEqual(ids(answers[0] ?? []))
    expect(answers.flatMap(statuses).filter((status) => status === "recorded")).toHaveLength(200)
    expect(yield* isWhole(url)).toMatchObject([{ lastSeq: 200, committed: 200 }])
  })
)

it.scopedLive("an event that the table refuses becomes a dead letter, says so, and its batchmates are recorded", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    yield* query(url, "alter table gatekeeper.audit_log add constraint no_poison check (reason <> 'poison')")
    const { ingest } = yield* ingestOf(url)
    const batch = batchOf(20).map((event, index) => (index % 7 === 3 ? eventOf(event.clientId, "poison") : event))
    const answer = yield* ingest("planner", batch)
    const expected = batch.map((_, index) => (index % 7 === 3 ? "dead_lettered" : "recorded"))
    expect(statuses(answer)).toEqual(expected)
    const again = yield* ingest("planner", batch)
    expect(statuses(again)).toEqual(expected.map((status) => (status === "recorded" ? "duplicate" : status)))
    expect(ids(again)).toEqual(ids(answer))
    expect(yield* isWhole(url)).toMatchObject([{ lastSeq: 20, committed: 17, deadLettered: 3 }])
  })
)

it.scopedLive("an event that a replay brought into the trail is a duplicate from then on, no dead letter", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    yield* query(url, "alter table gatekeeper.audit_log add constraint no_poison check (reason <> 'poison')")
    const { ingest } = yield* ingestOf(url)
    const batch = [eventOf("fine"), eventOf("bad", "poison")]
    const first = yield* ingest("planner", batch)
    const letters = yield* openLetters(url)
    expect(yield* letters.replay(all)).toMatchObject([{ outcome: "failed" }])
    expect(statuses(yield* ingest("planner", batch))).toEqual(["duplicate", "dead_lettered"])
    yield* query(url, "alter table gatekeeper.audit_log drop constraint no_poison")
    expect(yield* letters.replay(all)).toMatchObject([{ outcome: "replayed" }])
    const again = yield* ingest("planner", batch)
    expect(statuses(again)).toEqual(["duplicate", "duplicate"])
    expect(ids(again)).toEqual(ids(first))
  })
)

it.scopedLive("an answer to COMMIT that is lost is asked for again, and nothing is recorded twice", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const proxy = yield* tcpProxy(url)
    const { ingest } = yield* ingestOf(proxy.url)
    const batch = batchOf(10)
    yield* ingest("planner", batch.slice(0, 1))
    const [lost] = yield* Effect.all([Effect.flip(ingest("planner", batch)), proxy.loseAnswerTo("commit")], {
      concurrency: 2
    })
    expect(lost.message).toContain("Send the same batch again")
    expect(new Set(statuses(yield* ingest("planner", batch)))).toEqual(new Set(["duplicate"]))
    expect(yield* isWhole(url)).toMatchObject([{ lastSeq: 10, committed: 10 }])
  })
)

it.scopedLive("a locked table ends in a typed error within the deadline", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const { ingest } = yield* ingestOf(url)
    const holder = yield* connect({ url, applicationName: "holder" })
    yield* holder.query("begin")
    yield* holder.query("lock table gatekeeper.audit_log in access exclusive mode")
    expect((yield* Effect.flip(ingest("planner", batchOf(1))))._tag).toBe("TrailUnwritable")
    yield* holder.query("rollback")
    expect(statuses(yield* ingest("planner", batchOf(1)))).toEqual(["recorded"])
  })
)

it.scopedLive("a source of ingest has no process: it never counts as silent, and cannot be closed", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const { ingest } = yield* ingestOf(url)
    yield* ingest("planner", batchOf(1))
    expect(yield* ledgerOf(url).silent("0 seconds")).toEqual([])
    for (const change of ["unsigned_after = 1", "signed_off_seq = 1", "identity = 'forger'", "kind = 'process'"]) {
      const refused = yield* Effect.flip(query(url, `update gatekeeper.audit_source set ${change}`))
      expect([change, refused.sqlstate]).toEqual([change, "42501"])
    }
    for (const table of ["audit_ingest", "audit_ingest_conflict"]) {
      expect((yield* Effect.flip(query(url, `delete from gatekeeper.${table}`))).sqlstate).toBe("42501")
    }
  })
)
