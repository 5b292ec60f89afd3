import { expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { makeUuidV7 } from "../../../src/audit/encoding/AuditId.ts"
import { type HashedRow, makeRow } from "../../../src/audit/encoding/AuditRow.ts"
import { encodeEvent } from "../../../src/audit/encoding/EventEncoding.ts"
import { maximumCount, rowProblem } from "../../../src/audit/encoding/RowRules.ts"
import { lossReceipt, withdrawal } from "../../../src/audit/encoding/TrailEvents.ts"
import type { AuditEvent } from "../../../src/domain/AuditEvent.ts"
import { guardianEvent } from "../../support/AuditEvents.ts"

const nextId = makeUuidV7((bytes) => crypto.getRandomValues(bytes))
const now = Date.now()
const guardian = "service:guardian"
const router = "service:router"

const recorded = (event: AuditEvent, traceId?: string): HashedRow =>
  makeRow(encodeEvent(event, { traceId }), { id: nextId(now), timestamp: now, source: crypto.randomUUID(), seq: 1 })

const problem = (identity: string, event: Partial<AuditEvent>, forged: Partial<HashedRow> = {}) =>
  rowProblem(identity, { ...recorded({ ...guardianEvent, ...event }), ...forged }, now)

it("a service records its own actions, and no service a decision of the gatekeeper", () => {
  const own = {
    [guardian]: ["certificate.issue", "certificate.import", "badge.take", "session.expire"],
    [router]: ["route", "route.fallback", "route.completed"]
  }
  const decisions = [
    "read",
    "write",
    "execute",
    "*",
    "inference",
    "policy.reload",
    "audit/replay",
    "audit/loss",
    "",
    null
  ]
  for (const [identity, actions] of Object.entries(own)) {
    for (const action of actions) {
      expect(problem(identity, { action }), `${identity} ${action}`).toBeUndefined()
      expect(problem("service:guardian+router", { action })).toBeUndefined()
    }
    for (const other of Object.keys(own)) {
      if (other !== identity)
        for (const action of actions) expect(problem(other, { action })).toContain("does not record")
    }
    for (const action of [...decisions, "certificates", "routed", "session."]) {
      expect(problem(identity, { action }), `${identity} ${action}`).toContain("does not record")
    }
  }
  for (const identity of [
    "dan_flory",
    "service:gatekeeper",
    "service:",
    "service:guardian+",
    "service:router+guardian"
  ]) {
    expect(problem(identity, {}), identity).toContain("does not record")
  }
})

it("a result is one that a service gives", () => {
  for (const result of ["ALLOWED", "DENIED", "INVALID"] as const) expect(problem(guardian, { result })).toBeUndefined()
  for (const result of ["UNAUTHENTICATED", "REPORTED", "REPLAYED", "APPROVED BY CEO", "", "LOST", "WITHDRAWN"]) {
    expect(problem(guardian, {}, { result }), result).toBeDefined()
  }
})

it("a row has the time of its id, within minutes, and not of a time to come", () => {
  const minute = 60_000
  expect(problem(guardian, {}, { timestamp: now - minute })).toBeUndefined()
  for (const timestamp of [0, Date.parse("9999-12-31T00:00:00Z"), now - 6 * minute, now + 6 * minute]) {
    expect(problem(guardian, {}, { timestamp })).toContain("timestamp")
  }
  const later = now + 2 * 60 * minute
  expect(problem(guardian, {}, { id: nextId(later), timestamp: later })).toContain("to come")
})

it("a row has the bounds and the marks of a recorder", () => {
  expect(problem(guardian, {}, { metadata: JSON.stringify({ text: "x".repeat(4_500) }) })).toContain("metadata")
  expect(problem(guardian, {}, { metadata: `{"a":1, "b":2}` })).toContain("metadata")
  expect(problem(guardian, {}, { metadata: `{"b":1,"a":2}` })).toContain("metadata")
  for (const [name, value] of [
    ["ingest", { by: "another" }],
    ["claimed", {}],
    ["asked_by", "dan_flory"],
    ["query", "?limit=1"],
    ["subject_type", "agent"]
  ] as const) {
    expect(problem(guardian, {}, { metadata: JSON.stringify({ [name]: value }) })).toContain("reserved")
  }
  expect(problem(guardian, {}, { reason: "x".repeat(1_001) })).toContain("reason")
  expect(problem(guardian, {}, { ghostId: "a\0b" })).toContain("ghost_id")
  expect(problem(guardian, {}, { seq: maximumCount + 1 })).toContain("number")
  for (const marks of [
    ["auth:disabled"],
    ["metadata:size", "metadata:size"],
    ["x"],
    ["action:truncated", "action:cleaned"]
  ]) {
    expect(problem(guardian, {}, { marks })).toContain("marks")
  }
})

it("a receipt and a withdrawal have the form that the trail gives them", () => {
  const source = crypto.randomUUID()
  const gap = lossReceipt({ kind: "gap", source, from: 3, to: 9, count: 7 })
  const tail = lossReceipt({ kind: "tail", source, after: 4 })
  for (const receipt of [gap, tail]) expect(rowProblem(guardian, recorded(receipt), now)).toBeUndefined()
  const ranges = [
    { from_seq: 9, to_seq: 3 },
    { count: 8 },
    { to_seq: 9e15, count: 1 },
    { kind: "all" },
    { source: crypto.randomUUID() },
    { from_seq: "3" }
  ]
  for (const range of ranges) {
    const facts = { ...gap.facts, ...range }
    expect(rowProblem(guardian, recorded({ ...gap, facts }), now), JSON.stringify(range)).toBeDefined()
  }
  expect(rowProblem(guardian, recorded(withdrawal(guardianEvent, nextId(now), "late")), now)).toBeUndefined()
  expect(problem(guardian, { result: "WITHDRAWN", facts: { audit_id: "none" } })).toContain("names no event")
})

it("every row that a recorder makes is accepted, whatever the event holds", () => {
  const value = FastCheck.letrec<{ value: unknown }>((tie) => ({
    value: FastCheck.oneof(
      { maxDepth: 18, depthSize: "max" },
      FastCheck.string({ unit: "binary", maxLength: 3_000 }),
      FastCheck.double(),
      FastCheck.boolean(),
      FastCheck.bigInt(),
      FastCheck.constantFrom(null, undefined, () => 1, new Date(0), "\0".repeat(900), "😀".repeat(2_100)),
      FastCheck.array(tie("value"), { maxLength: 70 }),
      FastCheck.dictionary(FastCheck.string({ unit: "binary", maxLength: 200 }), tie("value"), { maxKeys: 70 })
    )
  })).value
  FastCheck.assert(
    FastCheck.property(
      value,
      FastCheck.string({ unit: "binary", maxLength: 1_200 }),
      FastCheck.boolean(),
      (metadata, text, traced) => {
        const event = {
          ...guardianEvent,
          resource: text,
          ghostId: text,
          shellId: text,
          reason: text,
          requestId: text,
          metadata
        }
        const row = recorded(event, traced ? "ab".repeat(16) : undefined)
        expect(rowProblem(guardian, row, now), row.metadata).toBeUndefined()
      }
    ),
    { numRuns: 60 }
  )
})
