import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { pathProblem, segmentOf } from "../../../src/domain/Spelling.ts"
import {
  historyResource,
  maximumResourceLength,
  shellResource,
  unknownShellResource
} from "../../../src/router/models/Catalog.ts"

const name = FastCheck.string({ unit: "grapheme", minLength: 1, maxLength: 40 })
const tricky = FastCheck.constantFrom(
  "..",
  ".",
  "...",
  "a/..",
  "../l3/x",
  "/",
  "%2F",
  "%2e%2e",
  "a\\b",
  "A",
  "a",
  "ü",
  ""
)

describe("shellResource", () => {
  const cases = [
    ["gemma2:27b", "shells/l1/gemma2:27b"],
    ["llama-3.1_8b@q4+x", "shells/l1/llama-3.1_8b@q4+x"],
    ["google/gemini-2.5-pro", "shells/l1/google%2Fgemini-2.5-pro"],
    ["..", "shells/l1/%2E%2E"],
    [".", "shells/l1/%2E"],
    ["gpt-4.", "shells/l1/gpt-4%2E"],
    ["../l3/claude", "shells/l1/..%2Fl3%2Fclaude"],
    ["a%2Fb", "shells/l1/a%252Fb"],
    ["a b*", "shells/l1/a%20b%2A"],
    ["ü", "shells/l1/%C3%BC"]
  ] as const
  for (const [model, resource] of cases) {
    it(`of ${model} is ${resource}`, () => expect(shellResource({ name: model, tier: "L1" })).toBe(resource))
  }

  it("writes the tier in lower case, as policies do", () => {
    expect(shellResource({ name: "x", tier: "L3" })).toBe("shells/l3/x")
  })

  it.prop("no name climbs out of its tier, or becomes a pattern", [FastCheck.oneof(name, tricky)], ([model]) => {
    const segments = shellResource({ name: model, tier: "L1" }).split("/")
    expect(segments).toHaveLength(3)
    expect(segments.slice(0, 2)).toEqual(["shells", "l1"])
    expect(["", ".", ".."]).not.toContain(segments[2])
    expect(segments[2]).not.toContain("*")
  })

  it.prop(
    "every name has a resource that the gatekeeper can be asked about",
    [FastCheck.oneof(name, tricky)],
    ([one]) => {
      for (const resource of [
        shellResource({ name: one, tier: "L1" }),
        unknownShellResource(one),
        historyResource(one)
      ]) {
        expect([resource, pathProblem(resource, 10_000)]).toEqual([resource, undefined])
      }
    }
  )

  it.prop(
    "two names never share a resource",
    [FastCheck.oneof(name, tricky), FastCheck.oneof(name, tricky)],
    ([a, b]) => {
      expect(segmentOf(a) === segmentOf(b)).toBe(a === b)
    }
  )

  it.prop(
    "an unknown name of any length and content fits the trail",
    [FastCheck.string({ unit: "binary", maxLength: 400 })],
    ([any]) => {
      expect(unknownShellResource(any)).toMatch(/^shells\/unknown\/[^/]+$/)
      expect(unknownShellResource(any).length).toBeLessThanOrEqual(maximumResourceLength)
    }
  )

  it("of a ghost's history is one segment too", () => expect(historyResource("a/../b")).toBe("history/a%2F..%2Fb"))
})
