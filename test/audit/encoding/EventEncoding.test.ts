import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { auditColumns } from "../../../src/audit/encoding/AuditRow.ts"
import { encodeEvent } from "../../../src/audit/encoding/EventEncoding.ts"
import type { AuditEvent } from "../../../src/domain/AuditEvent.ts"
import { reservedMembers } from "../../../src/domain/AuditEvent.ts"
import { anEvent } from "../../support/AuditEvents.ts"

/** What a careless or hostile caller passes where the type says otherwise. */
const hostile = (fields: Partial<Record<keyof AuditEvent, unknown>>): AuditEvent =>
  Object.assign({ ...anEvent }, fields)

describe("an event's encoding", () => {
  it("leaves a plain event as it is, without marks", () => {
    expect(encodeEvent(anEvent)).toEqual({ ...anEvent, metadata: '{"complexity":5}', marks: [] })
  })

  it("masks secrets in free text, and leaves names as they are", () => {
    const given = {
      action: "GET /x?token=a",
      resource: `${"r".repeat(247)}?sig=abc`,
      reason: "sent Bearer abcdefghijklmnop",
      ghostId: "auth=x"
    }
    expect(encodeEvent({ ...anEvent, ...given })).toMatchObject({
      action: "GET /x?token=[masked]",
      resource: `${"r".repeat(247)}?sig=[ma`,
      reason: "sent Bearer [masked]",
      ghostId: "auth=x",
      marks: ["action:masked", "reason:masked", "resource:masked"]
    })
  })

  it("counts code points, as the table does", () => {
    const faces = "\ud83d\ude00".repeat(300)
    const encoded = encodeEvent({ ...anEvent, resource: faces })
    expect([...(encoded.resource ?? "")].length).toBe(auditColumns.resource.limit)
    expect(encoded.marks).toEqual(["resource:truncated"])
  })

  it.each<[name: string, event: AuditEvent, marks: Array<string>]>([
    ["a resource over 255 characters", { ...anEvent, resource: "r".repeat(256) }, ["resource:truncated"]],
    ["NUL", { ...anEvent, ghostId: "a\0b" }, ["ghost_id:cleaned"]],
    ["a lone surrogate", { ...anEvent, action: "\udead" }, ["action:cleaned"]],
    ["a number for a name", hostile({ shellId: 123 }), ["shell_id:converted"]],
    ["an object for a name", hostile({ requestId: { a: [1] } }), ["request_id:converted"]],
    ["metadata that is not an object", { ...anEvent, metadata: [1, 2] }, ["metadata:wrapped"]],
    ["a string that looks like an object", { ...anEvent, metadata: "{}" }, ["metadata:wrapped"]],
    ["no metadata", { ...anEvent, metadata: undefined }, []],
    [
      "metadata 5 000 deep",
      { ...anEvent, metadata: JSON.parse("[".repeat(5_000) + "]".repeat(5_000)) },
      ["metadata:depth", "metadata:wrapped"]
    ],
    ["what the recorder marks itself", { ...anEvent, marks: ["auth:disabled"] }, ["auth:disabled"]],
    ["an unknown mark is ignored", hostile({ marks: ["},{", 7, "auth:disabled"] }), ["auth:disabled"]],
    ["marks that are none", hostile({ marks: "auth:disabled" }), []],
    [
      "marks that cannot be read",
      hostile({
        marks: new Proxy([], {
          get: () => {
            throw new Error("no")
          }
        })
      }),
      ["marks:unreadable"]
    ],
    ["everything missing", hostile({ action: undefined, resource: undefined, result: undefined }), []]
  ])("marks %s", (_, event, marks) => {
    expect(encodeEvent(event).marks).toEqual(marks)
  })

  describe("puts the trace into the metadata, in its place", () => {
    const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
    const trace = `"trace_id":"${traceId}"`
    it.each<[name: string, metadata: unknown, json: string, marks: Array<string>]>([
      ["of nothing", undefined, `{${trace}}`, []],
      ["before what comes after it", { zone: 1 }, `{${trace},"zone":1}`, []],
      ["after what comes before it", { agent: 1 }, `{"agent":1,${trace}}`, []],
      ["in between", { zone: 2, agent: 1 }, `{"agent":1,${trace},"zone":2}`, []],
      ["for one that was given", { trace_id: "of another", zone: 2 }, `{${trace},"zone":2}`, ["metadata:reserved"]],
      ["not further in", { agent: { trace_id: "x" } }, `{"agent":{"trace_id":"x"},${trace}}`, []],
      ["of metadata that is not an object", [1], `{${trace},"value":[1]}`, ["metadata:wrapped"]],
      ["of a key that sorts right before it", { trace_ic: 1 }, `{"trace_ic":1,${trace}}`, []]
    ])("%s", (_, metadata, json, marks) => {
      const encoded = encodeEvent({ ...anEvent, metadata }, { traceId })
      expect(encoded.metadata).toBe(json)
      expect(encoded.marks).toEqual(marks)
    })

    it("whatever is given, and however much: no member is there twice, and the trace always", () => {
      FastCheck.assert(
        FastCheck.property(
          FastCheck.dictionary(
            FastCheck.oneof(FastCheck.string(), FastCheck.constant("trace_id")),
            FastCheck.jsonValue(),
            {
              maxKeys: 100,
              size: "max"
            }
          ),
          (metadata) => {
            const { metadata: json } = encodeEvent({ ...anEvent, metadata }, { traceId })
            const read: Record<string, unknown> = JSON.parse(json)
            expect(read["trace_id"]).toBe(traceId)
            const sorted = Object.keys(read).filter((key) => !/^\d+$/.test(key))
            expect(sorted).toEqual(sorted.toSorted((a, b) => (a < b ? -1 : 1)))
            expect(json.split(trace).length).toBe(2)
          }
        )
      )
    })

    it("but not a value that is not a trace id", () => {
      expect(encodeEvent({ ...anEvent, metadata: {} }, { traceId: '","forged":"' }).metadata).toBe("{}")
    })
  })

  describe("keeps what the program states apart from what a caller states", () => {
    it("leaves every name of the program's own out of a caller's metadata, and marks the row", () => {
      for (const name of reservedMembers) {
        const encoded = encodeEvent({ ...anEvent, metadata: { [name]: "forged", model: "kept" } })
        expect(encoded.metadata).toBe('{"model":"kept"}')
        expect(encoded.marks).toEqual(["metadata:reserved"])
      }
    })

    it("writes the program's own in place of a caller's, however large that is", () => {
      const many = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`a${index}`, "x".repeat(90)]))
      const event = { ...anEvent, metadata: { ...many, asked_by: "forged" }, facts: { asked_by: "Enforcer" } }
      const read: Record<string, unknown> = JSON.parse(encodeEvent(event).metadata)
      expect(read["asked_by"]).toBe("Enforcer")
    })

    it("keeps the program's own beside metadata that is not an object, or cannot be read", () => {
      for (const metadata of [
        [1],
        "x",
        null,
        new Proxy(
          {},
          {
            ownKeys: () => {
              throw new Error("no")
            }
          }
        )
      ]) {
        const { metadata: json } = encodeEvent({ ...anEvent, metadata, facts: { asked_by: "Enforcer" } })
        expect(JSON.parse(json)).toMatchObject({ asked_by: "Enforcer" })
      }
    })

    it("leaves a name further in as it is: only the outermost members are the row's own", () => {
      const { marks, metadata } = encodeEvent({ ...anEvent, metadata: { a: { ingest: 1 } } })
      expect([metadata, marks]).toEqual(['{"a":{"ingest":1}}', []])
    })
  })

  it("masks secrets by the name of their member, at any depth, also in a text that should be one", () => {
    const secret = "s3cr3t"
    const names = [
      "password",
      "access_token",
      "Api-Key",
      "X_API_KEY",
      "client secret",
      "Authorization",
      "refreshToken2",
      "jwt"
    ]
    for (const name of names) {
      const nested = { list: [{ [name]: { value: secret } }], [name]: secret, tokens: 7, monkey: "kept" }
      const encoded = encodeEvent({
        ...anEvent,
        metadata: nested,
        facts: { context: nested },
        resource: nested as never
      })
      expect(JSON.stringify(encoded)).not.toContain(secret)
      expect(encoded.marks).toContain("metadata:masked")
      expect(JSON.parse(encoded.metadata)).toMatchObject({ list: [{ [name]: "[masked]" }], tokens: 7, monkey: "kept" })
    }
  })

  it("survives properties that throw", () => {
    const event = new Proxy(anEvent, {
      get: () => {
        throw new Error("no")
      }
    })
    const encoded = encodeEvent(event)
    expect(encoded).toMatchObject({ action: null, resource: null, result: "", metadata: "{}" })
    expect(encoded.marks).toContain("metadata:unreadable")
  })
})
