import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { expect } from "vitest"
import { integrateStep, type StepOutcome } from "../../src/audit/tree/IntegrationStep.ts"
import { RightEdge } from "../../src/audit/tree/RightEdge.ts"
import { encodeEntry, entryLength } from "../../src/audit/tree/verify/LeafEntry.ts"
import { hashLeaf } from "../../src/audit/tree/verify/MerkleProofs.ts"
import { type Connection, connect } from "../../src/platform/postgres/Connection.ts"
import type { DatabaseError } from "../../src/platform/postgres/DatabaseError.ts"
import { query } from "./Rows.ts"

export const integratorOf = (url: Redacted.Redacted) => connect({ url, applicationName: "gravitas integrator test" })

/** Runs steps until the queue is empty or another integrator works. */
export const integrateAll = (connection: Connection): Effect.Effect<StepOutcome, DatabaseError> =>
  Effect.flatMap(integrateStep(connection), (outcome) =>
    outcome._tag === "integrated" ? integrateAll(connection) : Effect.succeed(outcome)
  )

export const queued = (url: Redacted.Redacted) =>
  Effect.map(query(url, "select coalesce(sum(n), 0)::integer as n from gatekeeper.audit_intake"), ([row]) => row?.["n"])

const bytesOf = (value: unknown): Buffer => {
  if (!Buffer.isBuffer(value)) throw new Error("a column is not bytea")
  return value
}

/** Each row of the trail has one index, the entry at it is the row's, and the root is that of the entries. Returns the size. */
export const verifiedTree = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const [state] = yield* query(url, "select size::integer, root, edge, partial from gatekeeper.audit_tree")
    const bundles = yield* query(
      url,
      "select index::integer, entries, root from gatekeeper.audit_bundle order by index"
    )
    expect(bundles.map((bundle) => bundle["index"])).toEqual(bundles.map((_, index) => index))
    const bytes = Buffer.concat([...bundles.map(({ entries }) => bytesOf(entries)), bytesOf(state?.["partial"])])
    expect(bytes.length).toBe(Number(state?.["size"]) * entryLength)
    const entries = Array.from({ length: bytes.length / entryLength }, (_, at) =>
      bytes.subarray(at * entryLength, (at + 1) * entryLength)
    )
    const edge = new RightEdge()
    const roots = new Map<string, string>()
    for (const entry of entries) {
      edge.append(hashLeaf(entry), (level, at, hash) => roots.set(`${level}/${at}`, Buffer.from(hash).toString("hex")))
    }
    expect(Buffer.from(edge.root()).toString("hex")).toBe(bytesOf(state?.["root"]).toString("hex"))
    expect(Buffer.concat(edge.hashes).equals(bytesOf(state?.["edge"]))).toBe(true)
    for (const { index, root } of bundles) expect(bytesOf(root).toString("hex")).toBe(roots.get(`8/${String(index)}`))
    const rows = yield* query(
      url,
      `select id, encode(leaf_hash, 'hex') as digest,
         array(
           select (run.first_index + log.seq - run.first_seq)::integer from gatekeeper.audit_run as run
           where run.source = log.source and log.seq >= run.first_seq and log.seq < run.first_seq + run.n
         ) as indexes
       from gatekeeper.audit_log as log`
    )
    expect(rows.length).toBe(entries.length)
    for (const { digest, id, indexes } of rows) {
      expect(indexes).toHaveLength(1)
      const entry = encodeEntry({ format: 1, id: String(id), digest: String(digest) })
      expect(entries[Number(Array.isArray(indexes) ? indexes[0] : -1)]?.equals(entry)).toBe(true)
    }
    return entries.length
  })
