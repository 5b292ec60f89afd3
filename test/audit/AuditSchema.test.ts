import { createHash } from "node:crypto"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { AuditId } from "../../src/audit/encoding/AuditId.ts"
import { canonicalJson } from "../../src/audit/encoding/AuditRow.ts"
import { encodeCanonical } from "../../src/audit/encoding/CanonicalJson.ts"
import { anEvent } from "../support/AuditEvents.ts"
import { gatekeeperUp } from "../support/GatekeeperSchema.ts"
import { freshDatabase } from "../support/TestDatabase.ts"
import { gatekeeperDatabase, openTrail, query, settled } from "../support/Trail.ts"

/** The id is made by a revision; a copied database has another one by `migratedDatabase`. */
const migratedByItself = Effect.tap(freshDatabase, gatekeeperUp)

it.scopedLive("every trail has an id of its own", () =>
  Effect.gen(function* () {
    const [one, other] = [yield* migratedByItself, yield* migratedByItself]
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
