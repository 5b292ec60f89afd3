import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { foldCase, ghostProblem, nameProblem, pathProblem } from "../../src/domain/Spelling.ts"

describe("pathProblem", () => {
  it.each([
    "vaults/public",
    "gemma2:27b",
    "a..b/.c/d",
    "my vault/a b",
    "todo/morty@the-citadel.com/-",
    "docs/café",
    "a//b",
    "/a/",
    "vaults/a+b=c,d~e!f'(g)",
    "shells/l1/%2E%2E",
    "shells/l3/google%2Fgemini-2.5-pro",
    "shells/unknown/%C3%BC",
    "history/%",
    "history/a%20b"
  ])("accepts %s", (text) => {
    expect(pathProblem(text, 255)).toBeUndefined()
  })

  it.each([
    ["*", '"*"'],
    ["vaults/*", '"*"'],
    ["vaults/a*b", '"*"'],
    ["vaults/%73ecret", '"%"'],
    ["vaults/100%", '"%"'],
    ["vaults/%u0073ecret", '"%"'],
    ["vaults/%2573ecret", '"%"'],
    ["vaults/%c0%ae", '"%"'],
    ["x/%2e%2e/secret", '"%"'],
    ["x/%2E%2E/secret", '"%"'],
    ["x/.%2e/secret", '"%"'],
    ["secret%2Fa", '"%"'],
    ["vaults/secret%20", '"%"'],
    // Only the spelling that the router writes, and only where it writes a name.
    ["shells/l1/%2e%2e", '"%"'],
    ["shells/l1/%67emma", '"%"'],
    ["shells/l1/%zz", '"%"'],
    ["shells/l1/%FF", '"%"'],
    ["shells/l1/%2E%2E/l3/large", '"%"'],
    ["shells/l9/%2E", '"%"'],
    ["Shells/l1/%2E", '"%"'],
    ["history/a%2fb", '"%"'],
    ["x/..;/secret", '";"'],
    ["vaults/secret;v=1", '";"'],
    ["vaults/secret?x", '"?"'],
    ["vaults/secret#f", '"#"'],
    ["vaults\\secret", String.raw`"\"`],
    ["vaults/secret ", "blank"],
    ["vaults/ secret", "blank"],
    ["vaults /secret", "blank"],
    [" ", "blank"],
    ["vaults/secret\u00a0", "blank"],
    ["vaults/secret\u3000", "blank"],
    ["vaults/secret\u200b", "format characters"],
    ["vaults/se\u00adcret", "format characters"],
    ["\ufeffvaults/secret", "format characters"],
    ["vaults/\u202esecret", "format characters"],
    ["vaults/secret\ufe0f", "format characters"],
    ["vaults/secret\u3164", "format characters"],
    ["vaults/secret\u2028", "format characters"],
    ["vaults/secret\u{e0020}", "format characters"],
    ["vaults/.", "segments"],
    ["vaults/./secret", "segments"],
    ["x/../secret", "segments"],
    ["vaults/secret.", "that ends"],
    ["vaults./secret", "that ends"],
    ["vaults/...", "that ends"],
    ["docs/cafe\u0301", "NFKC"],
    ["vaults/\u017fecret", "NFKC"],
    ["vaults/ｓecret", "NFKC"],
    ["x/．．/secret", "NFKC"],
    ["vaults／secret", "NFKC"],
    ["vaults\u00a0x/secret", "NFKC"],
    ["vaults/a\u0000", "control characters"],
    ["", "empty"]
  ])("refuses %j, which a program may read as another text", (text, problem) => {
    expect(pathProblem(text, 255)).toContain(problem)
  })

  it("counts a text against its limit", () => {
    expect(pathProblem("a".repeat(255), 255)).toBeUndefined()
    expect(pathProblem("a".repeat(256), 255)).toContain("256")
  })

  it("leaves one spelling of each text: what is accepted is the same when it is normalised, trimmed, decoded and resolved", () => {
    const parts = ["a", "B", "b", "1", "é", "/", "/", ".", "..", "%2E", ";", "e\u0301", " ", "\u200b", "\\", "Ａ", "?"]
    const part = FastCheck.constantFrom(...parts)
    const text = FastCheck.array(part, { minLength: 1, maxLength: 6 }).map((chosen) => chosen.join(""))
    FastCheck.assert(
      FastCheck.property(FastCheck.oneof(text, FastCheck.string({ unit: "binary", maxLength: 12 })), (one) => {
        if (pathProblem(one, 255) !== undefined) return
        expect(one.normalize("NFKC")).toBe(one)
        expect(decodeURIComponent(one)).toBe(one)
        const segments = one.split("/")
        expect(segments.map((segment) => segment.trim().replace(/\.+$/, ""))).toEqual(segments)
        const resolved = new URL(one.replace(/^\/*/, "/"), "http://x").pathname
        expect(decodeURIComponent(resolved)).toBe(one.replace(/^\/*/, "/"))
      }),
      { numRuns: 300 }
    )
  })
})

describe("nameProblem", () => {
  it("refuses what is not one segment", () => {
    expect(nameProblem("Scout", 100)).toBeUndefined()
    for (const text of ["a/b", "..", "*", "a ", "a%20"]) expect([text, nameProblem(text, 100)]).not.toContain(undefined)
  })
})

describe("ghostProblem", () => {
  it.each(["Scout", "service:guardian+router", "a/b", "*", "50%", "ä ö", "agent?", "Сова", "Ｓcout"])(
    "accepts %s",
    (name) => {
      expect(ghostProblem(name, 100)).toBeUndefined()
    }
  )

  it.each([
    ["dan_flory\u200b", "format characters"],
    ["\u202eScout", "format characters"],
    ["Scout ", "blank"],
    ["\u00a0Scout", "blank"],
    [" ", "blank"],
    ["Zoe\u0308", "NFC"],
    ["a\n", "control characters"],
    ["", "empty"],
    ["a".repeat(101), "101"]
  ])("refuses %j", (name, problem) => {
    expect(ghostProblem(name, 100)).toContain(problem)
  })
})

describe("foldCase", () => {
  it("makes texts equal that differ in case only", () => {
    for (const texts of [
      ["vaults/a", "VAULTS/A", "Vaults/a"],
      ["straße", "STRASSE"],
      ["Σίσυφος", "ΣΊΣΥΦΟΣ", "σίσυφοσ"]
    ]) {
      expect(new Set(texts.map(foldCase)).size).toBe(1)
    }
    expect(foldCase("a")).not.toBe(foldCase("b"))
  })
})
