import { describe, expect, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { PolicyView } from "../../src/contracts/gatekeeper/AccessSchemas.ts"
import { Sessions, StartSession } from "../../src/contracts/guardian/GuardianSchemas.ts"
import { RecordOf } from "../../src/contracts/OpenRecord.ts"

/** An object with `__proto__` as a key of its own, as JSON.parse makes it. */
const withKey = (value: unknown): Readonly<Record<string, never>> =>
  JSON.parse(`{"__proto__":${JSON.stringify(value)}}`)

describe("The open records of the contracts", () => {
  it("keep a key __proto__ in the policy that decides", () => {
    const view = {
      version: "1",
      loaded_at: "2026-01-01T00:00:00Z",
      groups: withKey({ permissions: [{ action: "*", resource: "*", effect: "allow" }], inherits: [] }),
      ghost_mappings: withKey(["admin"]),
      lines: { inherits: {}, ghost_mappings: {} },
      look_alikes: [],
      resource_paths: withKey(["type"]),
      refused_reload: null,
      audit_id: "1"
    }
    expect(JSON.stringify(Schema.encodeSync(PolicyView)(view))).toBe(JSON.stringify(view))
  })

  it("keep a key __proto__ in a session's metadata", () => {
    const start = { agent: "a", session_id: "s", metadata: withKey("kept") }
    expect(JSON.stringify(Schema.decodeUnknownSync(StartSession)(start))).toBe(JSON.stringify(start))
    const session = {
      session_id: "s",
      agent: "a",
      active: true,
      started_at: "",
      last_seen_at: "",
      ended_at: null,
      end_reason: null,
      output_file: null,
      request_id: null,
      metadata: withKey("kept")
    }
    const page = { sessions: [session], next: null }
    expect(JSON.stringify(Schema.encodeSync(Sessions)(page))).toBe(JSON.stringify(page))
  })

  it("check their values", () => {
    const isLists = Schema.is(RecordOf(Schema.Array(Schema.String)))
    expect([{ a: ["b"] }, { a: [1] }, { a: "b" }, [["b"]], null].map((value) => isLists(value))).toEqual([
      true,
      false,
      false,
      false,
      false
    ])
  })
})
