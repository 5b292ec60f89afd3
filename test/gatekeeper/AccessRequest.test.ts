import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { ValidateRequest } from "../../src/contracts/gatekeeper/AccessSchemas.ts"
import { parseAccessRequest } from "../../src/gatekeeper/AccessRequest.ts"

const problemOf = (body: unknown): string =>
  Either.match(parseAccessRequest(body), { onLeft: ({ message }) => message, onRight: () => "accepted" })

const nested = (depth: number): unknown => JSON.parse(`${'{"a":'.repeat(depth - 1)}{}${"}".repeat(depth - 1)}`)

describe("parseAccessRequest", () => {
  it("accepts an action that defaults to inference, and metadata that is absent, null or unusual", () => {
    expect(parseAccessRequest({ resource: "vaults/a" })).toEqual(
      Either.right({ action: "inference", resource: "vaults/a", metadata: {} })
    )
    expect(problemOf({ action: "read", resource: "gemma2:27b", metadata: { shell_id: 123 } })).toBe("accepted")
    expect(problemOf({ action: null, resource: "a", metadata: null, more: 1 })).toBe("accepted")
    expect(problemOf({ resource: "a".repeat(255), action: "b".repeat(100) })).toBe("accepted")
    expect(problemOf({ resource: "a..b/.c/d" })).toBe("accepted")
    expect(problemOf({ action: "read", resource: "a", acton: "write" })).toBe("accepted")
    expect(problemOf({ resource: "😀".repeat(255), action: "😀".repeat(100) })).toBe("accepted")
    expect(problemOf({ resource: "😀".repeat(256) })).toContain('"resource" has 256 characters')
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
    ["every action", { action: "*", resource: "a" }, '"action" must not hold "*"'],
    ["every resource below a path", { resource: "vaults/*" }, '"resource" must not hold "*"'],
    ["an encoded letter", { resource: "vaults/%73ecret" }, '"resource" must not hold "%"'],
    ["a list as metadata", { resource: "a", metadata: [] }, '"metadata" must be an object'],
    ["a misspelt action", { acton: "write", resource: "a" }, 'unknown field "acton"; it is written "action"'],
    ["an action in another style", { Action: "write", resource: "a" }, 'unknown field "Action"'],
    ["bottomless metadata", { resource: "a", metadata: nested(5_000) }, "nested deeper"]
  ])("refuses %s and names the problem", (_, body, problem) => {
    expect(problemOf(body)).toContain(problem)
  })

  it("returns the claim of a refused request, for the trail", () => {
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

  it("accepts, refuses and decodes the same bodies as the schema of the contract", () => {
    const decode = Schema.decodeUnknownEither(ValidateRequest)
    const text = FastCheck.oneof(
      FastCheck.string({ unit: "binary", maxLength: 12 }),
      FastCheck.constantFrom("", "a", "vaults/a", "a/../b", ".", "a/./b", "a..b", "\u0000", "\ud800", "a\u0085b"),
      FastCheck.constantFrom("*", "a/*", "%2E", "shells/l1/%2E", "a?", "a ", "a\u200bb", "e\u0301", "é", "A"),
      FastCheck.integer({ min: 98, max: 102 }).map((length) => "a".repeat(length)),
      FastCheck.integer({ min: 253, max: 257 }).map((length) => "r".repeat(length))
    )
    const value = FastCheck.oneof(
      { weight: 5, arbitrary: text },
      { weight: 1, arbitrary: FastCheck.jsonValue({ maxDepth: 2 }) }
    )
    const metadata = FastCheck.oneof(
      FastCheck.dictionary(FastCheck.string(), FastCheck.jsonValue()),
      FastCheck.integer({ min: 30, max: 34 }).map(nested),
      FastCheck.jsonValue()
    )
    const body = FastCheck.oneof(
      {
        weight: 20,
        arbitrary: FastCheck.record(
          { action: value, resource: value, metadata, other: FastCheck.jsonValue() },
          { requiredKeys: [] }
        )
      },
      { weight: 1, arbitrary: FastCheck.jsonValue() }
    )
    let accepted = 0
    FastCheck.assert(
      FastCheck.property(body, (given) => {
        // The decoder of requests refuses a body that is not an object before it asks the schema.
        const isObject = typeof given === "object" && given !== null && !Array.isArray(given)
        const bySchema = Either.mapLeft(isObject ? decode(given) : Either.left(undefined), () => "refused")
        const byParser = parseAccessRequest(given)
        expect(Either.isRight(byParser)).toBe(Either.isRight(bySchema))
        if (Either.isLeft(byParser) || Either.isLeft(bySchema)) return
        accepted += 1
        expect(byParser.right).toStrictEqual({ metadata: {}, ...bySchema.right })
      }),
      { numRuns: 500 }
    )
    expect(accepted).toBeGreaterThan(20)
  })
})
