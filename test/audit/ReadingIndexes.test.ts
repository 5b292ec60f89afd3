import * as Reactivity from "@effect/experimental/Reactivity"
import * as PgClient from "@effect/sql-pg/PgClient"
import { expect, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { type EventQuery, pageStatement } from "../../src/audit/AuditReader.ts"
import * as PostgresAuditStore from "../../src/audit/store/PostgresAuditStore.ts"
import { rowsOf } from "../support/AuditEvents.ts"
import { earlierWriter } from "../support/EarlierWriter.ts"
import { gatekeeperDownTo, gatekeeperUp, gatekeeperUpTo } from "../support/GatekeeperSchema.ts"
import { partitionIndexes, partitionsOf } from "../support/PartitionIndexes.ts"
import { freshDatabase } from "../support/TestDatabase.ts"
import { gatekeeperDatabase, query } from "../support/Trail.ts"

const month = 31 * 24 * 60 * 60 * 1_000

/** The indexes of revision 6, with what follows the table in `create index … on`. */
const indexes = [
  ["action_id_idx", "(action, id)"],
  ["ghost_id_result_id_idx", "(ghost_id, result, id) where result <> 'ALLOWED'"],
  ["resource_result_id_idx", "(resource, result, id) where result <> 'ALLOWED'"]
] as const

/** Each index of revision 6 on each partition. */
const indexed = (url: Redacted.Redacted) =>
  Effect.map(
    Effect.forEach(indexes, ([suffix]) => partitionIndexes(url, `audit_log_${suffix}`)),
    (rows) => rows.flat()
  )

it.scopedLive("every partition has the indexes for reading: one that existed, and one that is made later", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    yield* gatekeeperUpTo(url, 5)
    const store = yield* PostgresAuditStore.make({ url })
    const now = Date.now()
    const rows = [now - 2 * month, now].flatMap((timestamp) => rowsOf(50, { timestamp }))
    for (const row of rows) yield* store.makePartition(row.id)
    yield* (yield* earlierWriter(url))(rows)
    yield* gatekeeperUp(url)
    for (const row of rowsOf(1, { timestamp: now - 6 * month })) yield* store.makePartition(row.id)
    const valid = Effect.map(indexed(url), (found) => found.filter((index) => index["valid"] === true).length)
    expect(yield* partitionsOf(url)).toHaveLength(5)
    expect(yield* valid).toBe(5 * indexes.length)
    yield* gatekeeperDownTo(url, 5)
    expect(yield* valid).toBe(0)
    yield* gatekeeperUp(url)
    expect(yield* valid).toBe(5 * indexes.length)
  })
)

it.scopedLive("an index for reading that was built beforehand is attached as it is", () =>
  Effect.gen(function* () {
    const url = yield* freshDatabase
    yield* gatekeeperUpTo(url, 5)
    const [partition = ""] = yield* partitionsOf(url)
    const built = yield* Effect.forEach(indexes, ([suffix, definition]) =>
      Effect.gen(function* () {
        const name = `${partition.replace("gatekeeper.", "")}_${suffix}`
        yield* query(url, `create index concurrently ${name} on ${partition} ${definition}`)
        const [index] = yield* query(url, "select to_regclass('gatekeeper.' || $1)::oid::integer as index", [name])
        return { partition, index: index?.["index"], valid: true }
      })
    )
    yield* gatekeeperUp(url)
    expect((yield* indexed(url)).filter((index) => index["partition"] === partition)).toEqual(built)
  })
)

const trail = 30_000

/** The first moment of this month. The trail ends before it, so that each of its partitions has thousands of rows. */
const end = DateTime.startOf(DateTime.unsafeNow(), "month")

const daysBefore = (days: number) => DateTime.subtract(end, { days })

/**
 * A row every two minutes, so the trail spans the two months before this one. `revoke` was done once, long ago. Only "ghost 0" was
 * denied anything, and only for "vaults/0" and "vaults/25".
 */
const fill = `
  insert into gatekeeper.audit_log (id, timestamp, source, seq, ghost_id, action, resource, result, request_id, metadata, marks,
    leaf_hash)
  select gatekeeper.audit_uuid_floor(at), at, '01983f2e-7c1a-7000-8000-0123456789ab', ${trail} - n + 1, 'ghost ' || n % 5,
    case when n = ${trail - 1_000} then 'revoke' else (array['execute', 'read', 'write'])[1 + n % 3] end, 'vaults/' || n % 50,
    case when n % 25 = 0 then 'DENIED' else 'ALLOWED' end, 'request ' || n / 3, '{}', '{}', sha256('')
  from (select n, $1::timestamptz - n * interval '2 minutes' as at from generate_series(${trail}, 1, -1) as n) as event`

const aDay = { from: daysBefore(20), to: daysBefore(19) }

/** Each filter alone, with a value that many rows have and one that few or none have; then pairs. */
const questions: ReadonlyArray<readonly [question: Omit<EventQuery, "limit">, index?: RegExp]> = [
  [{}, /_pkey$/],
  [{ ghostId: "ghost 1" }],
  [{ ghostId: "unknown" }, /_ghost_id_id_idx$/],
  [{ action: "read" }],
  [{ action: "revoke" }, /_action_id_idx$/],
  [{ action: "unknown" }, /_action_id_idx$/],
  [{ resource: "vaults/1" }],
  [{ resource: "unknown" }, /_resource_id_idx$/],
  [{ result: "ALLOWED" }, /_pkey$/],
  [{ result: "DENIED" }],
  [{ result: "LOST" }, /_result_id_idx$/],
  [{ requestId: "request 7" }, /_request_id_id_idx$/],
  [{ requestId: "unknown" }, /_request_id_id_idx$/],
  [{ from: daysBefore(1) }, /_pkey$/],
  [{ from: daysBefore(40) }, /_pkey$/],
  [{ to: daysBefore(1) }, /_pkey$/],
  [{ to: daysBefore(40) }, /_pkey$/],
  [aDay, /_pkey$/],
  [{ ghostId: "ghost 0", result: "DENIED" }],
  [{ ghostId: "ghost 1", result: "DENIED" }, /_ghost_id_result_id_idx$/],
  [{ resource: "vaults/0", result: "DENIED" }],
  [{ resource: "vaults/1", result: "DENIED" }, /_resource_result_id_idx$/],
  [{ ghostId: "ghost 1", action: "read" }],
  [{ ghostId: "ghost 1", action: "unknown" }, /_action_id_idx$/],
  [{ resource: "vaults/1", action: "read" }],
  [{ resource: "vaults/1", action: "revoke" }],
  [{ action: "read", result: "DENIED" }],
  [{ action: "unknown", result: "DENIED" }, /_action_id_idx$/],
  [{ ghostId: "ghost 1", resource: "vaults/1" }],
  [{ ghostId: "ghost 1", ...aDay }],
  [{ action: "read", ...aDay }],
  [{ action: "unknown", ...aDay }, /_action_id_idx$/],
  [{ resource: "vaults/1", ...aDay }],
  [{ result: "DENIED", ...aDay }]
]

/** A node of a plan as `explain (analyze, format json)` shows it. Where a node has loops, its counts are of each. */
interface PlanNode {
  readonly "Node Type": string
  readonly "Relation Name"?: string
  readonly "Index Name"?: string
  readonly "Actual Loops": number
  readonly "Rows Removed by Filter"?: number
  readonly Plans?: ReadonlyArray<PlanNode>
}

const PlanNode: Schema.Schema<PlanNode> = Schema.Struct({
  "Node Type": Schema.String,
  "Relation Name": Schema.optionalWith(Schema.String, { exact: true }),
  "Index Name": Schema.optionalWith(Schema.String, { exact: true }),
  "Actual Loops": Schema.Number,
  "Rows Removed by Filter": Schema.optionalWith(Schema.Number, { exact: true }),
  Plans: Schema.optionalWith(Schema.Array(Schema.suspend(() => PlanNode)), { exact: true })
})

const decodePlan = Schema.decodeUnknown(
  Schema.Tuple(Schema.Struct({ "QUERY PLAN": Schema.Tuple(Schema.Struct({ Plan: PlanNode })) }))
)

const nodesOf = (node: PlanNode): ReadonlyArray<PlanNode> => [node, ...(node.Plans ?? []).flatMap(nodesOf)]

it.scopedLive("the first page of every filter, and of the usual pairs, reads an index and few rows in vain", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    for (const months of [2, 1]) {
      const first = DateTime.formatIsoDateUtc(DateTime.subtract(end, { months }))
      yield* query(url, "select gatekeeper.audit_make_month($1)", [first])
    }
    yield* query(url, fill, [DateTime.toDate(end)])
    yield* query(url, "vacuum analyze gatekeeper.audit_log")
    const filled = (yield* query(
      url,
      "select distinct tableoid::regclass::text as name from gatekeeper.audit_log"
    )).map(({ name }) => String(name).replace("gatekeeper.", ""))
    expect(filled).toHaveLength(2)
    const sql = yield* PgClient.make({ url, maxConnections: 1 }).pipe(Effect.provide(Reactivity.layer))
    const limit = 101
    for (const [question, index = /_idx$|_pkey$/] of questions) {
      const told = JSON.stringify(question)
      const [text, values] = pageStatement(sql, { ...question, limit }, undefined, limit).compile()
      const [{ "QUERY PLAN": plan }] = yield* decodePlan(
        yield* sql.unsafe(`explain (analyze, format json) ${text}`, values)
      )
      const nodes = nodesOf(plan[0].Plan)
      const scans = nodes.filter(({ "Relation Name": name = "" }) => filled.includes(name))
      expect(scans.length, told).toBeGreaterThan(0)
      expect(
        scans.filter((node) => node["Node Type"] === "Seq Scan"),
        told
      ).toEqual([])
      const names = nodes.flatMap((node) => node["Index Name"] ?? [])
      expect(
        filled.filter((partition) => names.some((name) => name.startsWith(partition) && index.test(name))).length,
        `${told} ${names.join()}`
      ).toBeGreaterThan(0)
      const inVain = scans.map((node) => node["Actual Loops"] * (node["Rows Removed by Filter"] ?? 0))
      expect(
        inVain.reduce((sum, count) => sum + count, 0),
        told
      ).toBeLessThan(trail / 5)
    }
  })
)
