import { createHash } from "node:crypto"
import { expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { balance } from "../../../src/audit/Conservation.ts"
import { AuditIngest } from "../../../src/audit/ingest/AuditIngest.ts"
import type { IngestEvent } from "../../../src/audit/ingest/IngestEvent.ts"
import { connect } from "../../../src/platform/Connection.ts"
import { tcpProxy } from "../../support/TcpProxy.ts"
import { anEvent } from "../Events.ts"
import { gatekeeperDatabase, ledgerOf, query, withLogs } from "../Trail.ts"

const ingestOf = (url: Redacted.Redacted) =>
  Effect.map(Layer.build(AuditIngest.layerUrl({ url, deadline: "3 seconds" })), Context.get(AuditIngest))

const eventOf = (clientId: string, content = "content"): IngestEvent => ({
  clientId,
  occurredAt: "2026-01-31T12:00:00Z",
  digest: createHash("sha256").update(content).digest("hex"),
  event: { ...anEvent, reason: content, metadata: { content, ingest: { by: "somebody else" } } }
})

const batchOf = (count: number, prefix = "event") =>
  Array.from({ length: count }, (_, index) => eventOf(`${prefix} ${index}`))

const statuses = (outcomes: ReadonlyArray<{ readonly status: string }>) => outcomes.map(({ status }) => status)
const ids = (outcomes: ReadonlyArray<{ readonly auditId: string }>) => outcomes.map(({ auditId }) => auditId)

/** Every source balances, and no number of it is missing. */
const isWhole = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const ledger = ledgerOf(url)
    const sources = yield* ledger.sources({ limit: 1_000 })
    for (const source of sources) {
      expect(balance(source)).toMatchObject({ unaccounted: 0, pending: 0, counted: true })
      const now = Date.now()
      expect(
        yield* ledger.gaps(source.source, { from: 0, to: source.lastSeq, fromTime: now - 60_000, toTime: now })
      ).toEqual([])
    }
    return sources
  })

it.scopedLive("an event is recorded once under its key, and says who brought it where the client cannot write", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const { ingest } = yield* ingestOf(url)
    const first = yield* ingest("planner", batchOf(3))
    expect(statuses(first)).toEqual(["recorded", "recorded", "recorded"])
    const second = yield* ingest("planner", batchOf(4))
    expect(statuses(second)).toEqual(["duplicate", "duplicate", "duplicate", "recorded"])
    expect(ids(second).slice(0, 3)).toEqual(ids(first))
    const rows = yield* query(url, "select id, seq::integer, metadata from gatekeeper.audit_log order by id")
    expect(rows.map((row) => row["id"])).toEqual(ids(second))
    expect(rows.map((row) => row["seq"])).toEqual([1, 2, 3, 4])
    expect(rows[0]?.["metadata"]).toEqual({
      claimed: { content: "content", ingest: { by: "somebody else" } },
      ingest: { by: "planner", id: "event 0", occurred_at: "2026-01-31T12:00:00Z" }
    })
    expect(yield* isWhole(url)).toMatchObject([{ identity: "planner", kind: "ingest", lastSeq: 4, committed: 4 }])
  })
)

it.scopedLive("the keys of one client are none of another's", () =>
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

it.scopedLive(
  "another event under a used key hides nothing: the first stands, the other is kept as a dead letter, once",
  () =>
    withLogs((lines) =>
      Effect.gen(function* () {
        const url = yield* gatekeeperDatabase
        const { ingest } = yield* ingestOf(url)
        const [first] = yield* ingest("planner", [eventOf("key")])
        const forged = yield* ingest("planner", [eventOf("other"), eventOf("key", "forged"), eventOf("key", "forged")])
        expect(statuses(forged)).toEqual(["recorded", "conflict", "conflict"])
        expect(forged[1]).toMatchObject({ recordedAs: first?.auditId })
        expect(forged[2]?.auditId).toBe(forged[1]?.auditId)
        const again = yield* ingest("planner", [eventOf("key", "forged"), eventOf("key")])
        expect(statuses(again)).toEqual(["conflict", "duplicate"])
        expect(ids(again)).toEqual([forged[1]?.auditId, first?.auditId])
        const letters = yield* query(
          url,
          "select event_id, convert_from(body, 'UTF8')::json ->> 'reason' as said, reason from gatekeeper.audit_dead_letter"
        )
        expect(letters).toMatchObject([{ event_id: forged[1]?.auditId, said: "forged" }])
        expect(String(letters[0]?.["reason"])).toContain("planner")
        expect(lines.filter((line) => line.startsWith("ERROR ALARM"))).toHaveLength(1)
        expect(yield* isWhole(url)).toMatchObject([{ lastSeq: 3, committed: 2, deadLettered: 1 }])
      })
    )
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

it.scopedLive("a table that nobody may write to for now ends in a typed error within the deadline", () =>
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

it.scopedLive("a source of ingest has no process: it never counts as silent, and nobody can close it", () =>
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

it.scopedLive(
  "whatever keys and contents a client sends, in whatever order, each key has the first content and none is lost",
  () =>
    withLogs(() =>
      Effect.gen(function* () {
        const url = yield* gatekeeperDatabase
        const { ingest } = yield* ingestOf(url)
        const batches = FastCheck.array(
          FastCheck.array(
            FastCheck.tuple(FastCheck.integer({ min: 0, max: 5 }), FastCheck.constantFrom("a", "b", "c")),
            {
              minLength: 1,
              maxLength: 8
            }
          ),
          { minLength: 1, maxLength: 4 }
        )
        let run = 0
        for (const sent of FastCheck.sample(batches, { numRuns: 25, seed: 5 })) {
          const identity = `client ${run++}`
          const first = new Map<number, string>()
          const contents = new Map<string, string>()
          for (const batch of sent) {
            const answer = yield* ingest(
              identity,
              batch.map(([key, content]) => eventOf(`key ${key}`, content))
            )
            for (const [index, [key, content]] of batch.entries()) {
              const { auditId, status } = answer[index] ?? { auditId: "", status: "none" }
              const known = contents.get(`${key} ${content}`)
              const stands = first.get(key)
              expect(status).toBe(stands === undefined ? "recorded" : stands === content ? "duplicate" : "conflict")
              if (known !== undefined) expect(auditId).toBe(known)
              contents.set(`${key} ${content}`, auditId)
              if (stands === undefined) first.set(key, content)
            }
          }
          const [found] = yield* query(
            url,
            `select (select count(*)::integer from gatekeeper.audit_log where source = known.source) as rows,
           (select count(*)::integer from gatekeeper.audit_dead_letter where source = known.source) as letters
         from gatekeeper.audit_source as known where identity = $1`,
            [identity]
          )
          expect(found).toEqual({ rows: first.size, letters: contents.size - first.size })
        }
        yield* isWhole(url)
      })
    )
)
