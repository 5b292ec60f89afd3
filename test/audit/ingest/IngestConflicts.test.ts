import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import type * as Redacted from "effect/Redacted"
import { canonicalJson, type HashedRow, makeRow } from "../../../src/audit/encoding/AuditRow.ts"
import { rowOf } from "../../../src/audit/encoding/CanonicalRow.ts"
import { keptConflicts } from "../../../src/contracts/gatekeeper/IngestSchemas.ts"
import { all, openLetters } from "../../support/DeadLetters.ts"
import { batchOf, eventOf, ids, ingestOf, isWhole, statuses } from "../../support/Ingests.ts"
import { gatekeeperDatabase, query, withLogs } from "../../support/Trail.ts"

/** Rewrites a conflict as versions kept it that did not mark conflicts. */
const keepWithoutMark = (url: Redacted.Redacted, id: string) =>
  Effect.gen(function* () {
    const [letter] = yield* query(
      url,
      "select convert_from(body, 'UTF8') as body from gatekeeper.audit_dead_letter where event_id = $1",
      [id]
    )
    const row = rowOf(String(letter?.["body"]))
    if (row === undefined) return yield* Effect.dieMessage("the letter has no row")
    const { canonical, leafHash } = withoutMarks(row)
    yield* query(url, "alter table gatekeeper.audit_dead_letter disable trigger all")
    yield* query(
      url,
      "update gatekeeper.audit_dead_letter set body = convert_to($2, 'UTF8'), leaf_hash = decode($3, 'hex') where event_id = $1",
      [id, canonical, leafHash]
    )
  })

const withoutMarks = (row: HashedRow) => {
  const bare = makeRow({ ...row, marks: [] }, row)
  return { canonical: canonicalJson(bare), leafHash: bare.leafHash }
}

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

it.scopedLive("of one key so many other contents are kept and no more, and who sends one is told which", () =>
  withLogs((lines) =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const { ingest } = yield* ingestOf(url)
      yield* ingest("planner", [eventOf("key")])
      const others = Array.from({ length: 3 * keptConflicts }, (_, index) => eventOf("key", `other ${index}`))
      // The bound holds within a batch, and from one to the next.
      const told = [
        ...(yield* ingest("planner", others.slice(0, 5))),
        ...(yield* ingest("planner", others.slice(5, 2 * keptConflicts))),
        ...(yield* ingest("planner", others.slice(2 * keptConflicts)))
      ]
      expect(new Set(statuses(told))).toEqual(new Set(["conflict"]))
      expect(ids(told).map((id) => id !== null)).toEqual(others.map((_, index) => index < keptConflicts))
      const alarms = lines.filter((line) => line.startsWith("ERROR ALARM"))
      expect(alarms.map((line) => line.replace(/.*keys\. /, "").replace(/ as [^;.]*/, " as ID"))).toEqual([
        "5 kept in gatekeeper.audit_dead_letter, the first as ID.",
        "11 kept in gatekeeper.audit_dead_letter, the first as ID; 16 not kept, because 16 others under the key are kept already.",
        "16 not kept, because 16 others under the key are kept already."
      ])
      expect(alarms[1]).toContain("and 26 more such in the batch")
      const again = yield* ingest("planner", [...others, eventOf("key")])
      expect(ids(again).slice(0, -1)).toEqual(ids(told))
      expect(statuses(again).at(-1)).toBe("duplicate")
      const letters = yield* query(url, "select event_id from gatekeeper.audit_dead_letter order by event_id")
      expect(letters.map((row) => row["event_id"])).toEqual(ids(told).slice(0, keptConflicts))
      expect(yield* isWhole(url)).toMatchObject([
        { lastSeq: 1 + keptConflicts, committed: 1, deadLettered: keptConflicts }
      ])
    })
  )
)

it.scopedLive("a batch of nothing else is kept at once, with one alarm", () =>
  withLogs((lines) =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const { ingest } = yield* ingestOf(url)
      yield* ingest("planner", batchOf(500))
      yield* query(
        url,
        "alter table gatekeeper.audit_dead_letter add column statement_at timestamptz default statement_timestamp()"
      )
      const told = yield* ingest(
        "planner",
        batchOf(500).map(({ clientId }) => eventOf(clientId, "\ud83d\ude00 other\n"))
      )
      expect(new Set(statuses(told))).toEqual(new Set(["conflict"]))
      const [letters] = yield* query(
        url,
        `select count(*)::integer as count, count(distinct statement_at)::integer as statements,
           bool_and(encode(sha256(body), 'hex') = encode(leaf_hash, 'hex')) as hashed
         from gatekeeper.audit_dead_letter`
      )
      expect(letters).toEqual({ count: 500, statements: 1, hashed: true })
      expect(lines.filter((line) => line.startsWith("ERROR ALARM"))).toEqual([expect.stringContaining("499 more")])
    })
  )
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
          const contents = new Map<string, string | null>()
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

it.scopedLive("a conflict is replayed by its name alone, and its row is marked", () =>
  withLogs(() =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const { ingest } = yield* ingestOf(url)
      yield* ingest("planner", batchOf(2))
      const [marked, unmarked] = ids(
        yield* ingest(
          "planner",
          batchOf(2).map(({ clientId }) => eventOf(clientId, "forged"))
        )
      )
      yield* keepWithoutMark(url, String(unmarked))
      const letters = yield* openLetters(url)
      expect(yield* letters.replay(all)).toEqual([])
      expect(yield* letters.conflicts).toBe(2)
      expect((yield* letters.list({ limit: 9 })).map(({ conflict, settled }) => [conflict, settled])).toEqual([
        [true, false],
        [true, false]
      ])
      const replayed = yield* letters.replay({ ids: [String(marked), String(unmarked)], by: "Ada" })
      expect(replayed.map(({ outcome }) => outcome)).toEqual(["replayed", "replayed"])
      expect(yield* letters.conflicts).toBe(0)
      const rows = yield* query(url, "select marks from gatekeeper.audit_log where id = any($1)", [[marked, unmarked]])
      expect(rows.map((row) => row["marks"])).toEqual([["ingest:conflict", "metadata:reserved"], ["ingest:conflict"]])
      const again = yield* ingest("planner", [eventOf("event 0", "forged"), eventOf("event 0")])
      expect(again).toMatchObject([{ status: "conflict", isReplayed: true, isNew: false }, { status: "duplicate" }])
      expect((yield* letters.replay({ ids: [String(unmarked)], by: "Ada" })).map(({ outcome }) => outcome)).toEqual([
        "settled"
      ])
      yield* isWhole(url)
    })
  )
)

it.scopedLive("an event is a duplicate by the digest of an earlier version too", () =>
  withLogs(() =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const { ingest } = yield* ingestOf(url)
      yield* ingest("planner", [eventOf("key", "as it was sent"), eventOf("key", "forged, as it was sent")])
      const former = (content: string, formerContent: string) => ({
        ...eventOf("key", content),
        formerDigest: eventOf("key", formerContent).digest
      })
      const again = yield* ingest("planner", [
        former("as it is meant", "as it was sent"),
        former("forged, as it is meant", "forged, as it was sent"),
        former("new", "also new")
      ])
      expect(again).toMatchObject([
        { status: "duplicate" },
        { status: "conflict", isNew: false },
        { status: "conflict", isNew: true }
      ])
    })
  )
)
