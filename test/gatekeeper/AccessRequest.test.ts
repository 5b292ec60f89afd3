import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { parseAccessRequest } from "../../src/gatekeeper/AccessRequest.ts"

const problemOf = (body: unknown): string =>
  Either.match(parseAccessRequest(body), { onLeft: ({ message }) => message, onRight: () => "accepted" })

const nested = (depth: number): unknown => JSON.parse(`${'{"a":'.repeat(depth - 1)}{}${"}".repeat(depth - 1)}`)

describe("parseAccessRequest", () => {
  it("takes what clients send: an action that defaults to inference, metadata that may be absent, null or odd", () => {
    expect(parseAccessRequest({ resource: "vaults/a" })).toEqual(
      Either.right({ action: "inference", resource: "vaults/a", metadata: {} })
    )
    expect(problemOf({ action: "read", resource: "gemma2:27b", metadata: { shell_id: 123 } })).toBe("accepted")
    expect(problemOf({ action: null, resource: "a", metadata: null, more: 1 })).toBe("accepted")
    expect(problemOf({ resource: "a".repeat(255), action: "b".repeat(100) })).toBe("accepted")
    expect(problemOf({ resource: "a..b/.c/d." })).toBe("accepted")
  })

  it.each([
    ["a list", [], "must be a JSON object"],
    ["a text", "x", "must be a JSON object"],
    ["null", null, "must be a JSON object"],
    ["no resource", {}, '"resource" is missing'],
    ["a number as resource", { resource: 7 }, '"resource" must be a text'],
    ["an empty resource", { resource: "" }, '"resource" must not be empty'],
    ["an over-long resource", { resource: "a".repeat(256) }, '"resource" has 256 characters'],
    ["an over-long action", { action: "a".repeat(101), resource: "a" }, '"action" has 101 characters'],
    ["a NUL", { resource: "a\u0000b" }, "control characters"],
    ["a line break", { resource: "a\nb" }, "control characters"],
    ["a lone surrogate", { resource: "a\ud800" }, "well-formed"],
    ["a way out of its folder", { resource: "vaults/public/../secret" }, "segments"],
    ["a list as metadata", { resource: "a", metadata: [] }, '"metadata" must be an object'],
    ["bottomless metadata", { resource: "a", metadata: nested(5_000) }, "nested deeper"]
  ])("refuses %s and says so", (_, body, problem) => {
    expect(problemOf(body)).toContain(problem)
  })

  it("keeps what a refused request claimed, for the trail", () => {
    const refused = Either.flip(parseAccessRequest({ resource: "a".repeat(300), metadata: { x: 1 } })).pipe(
      Either.getOrThrow
    )
    expect(refused.claimed).toEqual({ action: "inference", resource: "a".repeat(300), metadata: { x: 1 } })
  })

  it("never throws, whatever JSON comes", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.jsonValue({ maxDepth: 6 }), (body) => {
        parseAccessRequest(body)
      })
    )
  })
})
