import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { boundMetadata, maximumBytes, maximumMembers } from "../../../src/guardian/sessions/SessionMetadata.ts"

const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) })

describe("A session's metadata", () => {
  it("loses every key that holds a message, at any depth, and says so", () => {
    const keys = [
      "messages",
      "message",
      "prompt",
      "Prompt",
      "system_prompt",
      "userPrompt2",
      "input",
      "inputs",
      "output",
      "content",
      "contents",
      "completion",
      "completions",
      "response",
      "text",
      "query",
      "chat_history",
      "history",
      "body",
      "instructions",
      "api_key",
      "Authorization",
      "access_token",
      "password"
    ]
    for (const key of keys.filter((one) => one !== "chat_history")) {
      expect([key, boundMetadata({ kept: 1, inner: [{ [key]: "said" }] })]).toEqual([
        key,
        Either.right({ metadata: { kept: 1, inner: [{}], dropped: [`inner.0.${key}`] }, dropped: [`inner.0.${key}`] })
      ])
    }
  })

  it("keeps nothing of a key that is longer than a key is, and names its place by its length alone", () => {
    const said = "please tell me how the vault is opened ".repeat(4)
    expect(boundMetadata({ a: { [said]: 1, [`${said}prompt`]: 2 }, [said]: { b: 1 } })).toEqual(
      Either.right({
        metadata: { a: {}, dropped: ["a.(156 characters)", "a.(162 characters)", "(156 characters)"] },
        dropped: ["a.(156 characters)", "a.(162 characters)", "(156 characters)"]
      })
    )
  })

  it("keeps labels as they are", () => {
    const labels = { model: "gemma2:27b", tier: "L1", attempt: 2, tags: ["a", null, true], request: { path: "/v1" } }
    expect(boundMetadata(labels)).toEqual(Either.right({ metadata: labels, dropped: [] }))
    expect(boundMetadata(undefined)).toEqual(Either.right({ metadata: {}, dropped: [] }))
  })

  it("is refused whole where it is not an object, or is too deep, too wide or too large", () => {
    const cases: ReadonlyArray<readonly [unknown, string]> = [
      [[1], "must be an object"],
      ["x", "must be an object"],
      [nested(9), "nested deeper"],
      [nested(5_000), "nested deeper"],
      [{ list: Array.from({ length: maximumMembers }, () => 1) }, "more than"],
      [Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`k${n}`, "ä".repeat(200)])), "larger than"]
    ]
    for (const [given, problem] of cases) {
      expect(Either.getOrThrow(Either.flip(boundMetadata(given)))).toContain(problem)
    }
    expect(Either.isRight(boundMetadata(nested(8)))).toBe(true)
  })

  it("never holds a text of a message's key, nor a text that jsonb refuses", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.jsonValue({ maxDepth: 5, noUnicodeString: false }),
        FastCheck.dictionary(FastCheck.string({ unit: "binary" }), FastCheck.string({ unit: "binary" })),
        (rest, labels) => {
          const bounded = boundMetadata({
            rest,
            labels,
            z: [{ y: { messages: [{ role: "user", content: "SECRETWORD" }] } }]
          })
          if (Either.isLeft(bounded)) return true
          const json = JSON.stringify(bounded.right.metadata)
          return (
            !json.includes("SECRETWORD") &&
            !json.includes("\\u0000") &&
            json.isWellFormed() &&
            !/\\ud[89a-f]/i.test(json) &&
            Buffer.byteLength(json) <= maximumBytes
          )
        }
      ),
      { numRuns: 300 }
    )
  })
})
