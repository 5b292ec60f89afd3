import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { AuditResult, ClaimableResult } from "../../../src/domain/AuditEvent.ts"
import { parseExactJson } from "../../../src/domain/JsonText.ts"
import { parseIngestRequest } from "../../../src/gatekeeper/ingest/IngestRequest.ts"
import { runAtOnce } from "../../../src/platform/os/EventLoop.ts"

const event = { id: "1", action: "deploy", resource: "sites/a" }

const parse = (body: unknown, requestId: string) => runAtOnce(parseIngestRequest(body, requestId))

const eventOf = (given: unknown) => {
  const parsed = Either.getOrThrow(parse({ events: [given] }, "request-1"))[0]
  if (parsed === undefined) throw new Error("no event")
  return parsed
}

const problemOf = (given: unknown) =>
  Either.match(eventOf(given), { onLeft: ({ problem }) => problem, onRight: () => "" })

describe("a body", () => {
  it.each([
    [undefined, "events"],
    [[event], "events"],
    [{}, "events"],
    [{ events: {} }, "events"],
    [{ events: [] }, "empty"],
    [{ events: Array.from({ length: 1_001 }, () => event) }, "at most 1000"],
    [{ events: [event], source: "a" }, "unknown field"]
  ])("%j is not a batch", (body, problem) => {
    expect(Either.getOrThrow(Either.flip(parse(body, "")))).toContain(problem)
  })
})

describe("a batch", () => {
  const stepsOf = (events: ReadonlyArray<unknown>) => {
    const steps = parseIngestRequest({ events }, "")
    let count = 0
    while (steps.next().done !== true) count += 1
    return count
  }

  it("is read in steps by what there is to look through, so that none holds others up", () => {
    const events = (count: number, text: string) => Array.from({ length: count }, () => ({ ...event, reason: text }))
    expect(stepsOf(events(10, "short"))).toBe(0)
    expect(stepsOf(events(1_000, "short"))).toBeGreaterThanOrEqual(62)
    expect(stepsOf(events(1_000, "x".repeat(1_000)))).toBeGreaterThanOrEqual(125)
    expect(stepsOf(events(16, "x".repeat(60_000)))).toBe(16)
    expect(stepsOf(Array.from({ length: 1_000 }, () => null))).toBeGreaterThanOrEqual(62)
  })
})

describe("an event", () => {
  it.each([
    [null, "must be a JSON object"],
    [{ ...event, id: undefined }, '"id" must be a text'],
    [{ ...event, id: 1 }, '"id" must be a text'],
    [{ ...event, id: "" }, "must not be empty"],
    [{ ...event, id: "x".repeat(201) }, "at most 200"],
    [{ ...event, id: "a\0" }, "NUL"],
    [{ ...event, id: "\ud800" }, "well-formed"],
    [{ ...event, action: "" }, '"action"'],
    [{ ...event, resource: 1 }, '"resource"'],
    [{ ...event, ghost_id: {} }, '"ghost_id" must be a text'],
    [{ ...event, occurred_at: "yesterday" }, '"occurred_at"'],
    [{ ...event, occurred_at: "2026-02-30T12:00:00Z" }, '"occurred_at"'],
    [{ ...event, occurred_at: "2026-02-01T12:00:00" }, '"occurred_at"'],
    [{ ...event, metadata: [] }, '"metadata" must be an object'],
    [{ ...event, metadata: JSON.parse(`${'{"a":'.repeat(40)}1${"}".repeat(40)}`) }, "nested deeper"],
    // What names the trail's own fields is refused, not overlooked.
    [{ ...event, source: crypto.randomUUID() }, 'unknown field "source"'],
    [{ ...event, audit_id: crypto.randomUUID() }, 'unknown field "audit_id"'],
    [{ ...event, timestamp: "2026-02-01T12:00:00Z" }, 'unknown field "timestamp"']
  ])("%j is refused for itself", (given, problem) => {
    expect(problemOf(given)).toContain(problem)
  })

  it("may claim a decision, and none of the trail's own words", () => {
    for (const result of AuditResult.literals) {
      const isClaimable = ClaimableResult.literals.some((one) => one === result)
      expect([result, problemOf({ ...event, result }) === ""]).toEqual([result, isClaimable])
    }
    expect(Either.getOrThrow(eventOf(event)).event.result).toBe("REPORTED")
  })

  it("that is longer than a row is valid: the trail cuts and marks it", () => {
    expect(Either.isRight(eventOf({ ...event, resource: "x".repeat(10_000), reason: "a\0b" }))).toBe(true)
  })

  it("has at most 64 KiB: what is larger is refused for itself, and the others are not", () => {
    const padded = (size: number) => {
      const bare = { ...event, metadata: { text: "" } }
      return { ...bare, metadata: { text: "x".repeat(size - JSON.stringify(bare).length) } }
    }
    expect(problemOf(padded(65_536))).toBe("")
    expect(problemOf(padded(65_537))).toBe("the event has 65537 bytes; at most 65536 are allowed")
    // Bytes, not characters.
    expect(problemOf({ ...event, metadata: { text: "é".repeat(40_000) } })).toContain("at most 65536")
    const parsed = Either.getOrThrow(parse({ events: [padded(100_000), event] }, ""))
    expect(parsed).toMatchObject([{ left: { clientId: "1" } }, { right: { clientId: "1" } }])
  })

  it("has the batch's request id where it has none", () => {
    expect(Either.getOrThrow(eventOf(event)).event.requestId).toBe("request-1")
    expect(Either.getOrThrow(eventOf({ ...event, request_id: "mine" })).event.requestId).toBe("mine")
  })

  it.each([
    ["occurred_at", "2026-01-31T12:00:00Z", ["2026-01-31T12:00:00.000Z", "2026-01-31t13:00:00.0+01:00"]],
    ["result", undefined, ["REPORTED", null]],
    ["reason", undefined, [null]],
    ["metadata", undefined, [null, {}]],
    ["ghost_id", undefined, [null]],
    ["request_id", undefined, [null]],
    ["occurred_at", undefined, [null]]
  ])("is the same event however %s is spelt, and known by the digest of earlier versions", (name, usual, spellings) => {
    const parsedOf = (value: unknown) =>
      Either.getOrThrow(eventOf(value === undefined ? event : { ...event, [name]: value }))
    const { digest, formerDigest } = parsedOf(usual)
    expect(formerDigest).toBeUndefined()
    for (const value of spellings) {
      const spelt = parsedOf(value)
      expect([value, spelt.digest]).toEqual([value, digest])
      expect(spelt.formerDigest).toMatch(/^[0-9a-f]{64}$/)
      expect(spelt.formerDigest).not.toBe(digest)
    }
  })

  it("is another event where a number differs that a double does not hold", () => {
    const parsedOf = (id: string) =>
      Either.getOrThrow(eventOf(parseExactJson(`{"id":"1","action":"a","resource":"b","metadata":{"id":${id}}}`)))
    const [one, other] = [parsedOf("9007199254740993"), parsedOf("9007199254740992")]
    expect(one.digest).not.toBe(other.digest)
    // Earlier versions did not tell them apart.
    expect(one.formerDigest).toBe(other.formerDigest)
  })

  it("has one digest however its members are ordered, and another for any other content", () => {
    const digestOf = (given: object) => Either.getOrThrow(eventOf(given)).digest
    expect(digestOf({ resource: "sites/a", id: "1", action: "deploy" })).toBe(digestOf(event))
    FastCheck.assert(
      FastCheck.property(FastCheck.jsonValue(), FastCheck.jsonValue(), (a, b) => {
        const [one, other] = [a, b].map((value) => digestOf({ ...event, metadata: { value } }))
        expect(one === other).toBe(JSON.stringify(sorted(a)) === JSON.stringify(sorted(b)))
      })
    )
  })

  it("of any JSON is parsed, never thrown over", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(FastCheck.jsonValue(), { minLength: 1, maxLength: 5 }), (events) => {
        const parsed = Either.getOrThrow(parse({ events }, ""))
        expect(parsed).toHaveLength(events.length)
      })
    )
  })
})

const sorted = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(sorted)
    : typeof value === "object" && value !== null
      ? Object.entries(value)
          .toSorted(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, inner]) => [key, sorted(inner)])
          .concat([["", "object"]])
      : value
