import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { type ValidityContext, VerifiedTokens } from "../../../src/gatekeeper/tokens/VerifiedTokens.ts"

const claims = { issuedAt: 0, id: undefined, isOverlong: false }
const present: ValidityContext = { now: 1_000, keyGeneration: 1, keysBelievedUntil: 5_000 }

describe("VerifiedTokens", () => {
  it.each([
    ["within its time", {}, true],
    ["at its first moment", { now: 500 }, true],
    ["before it", { now: 499 }, false],
    ["at its last moment", { now: 1_999 }, true],
    ["when it has expired", { now: 2_000 }, false],
    ["after the keys changed", { keyGeneration: 2 }, false],
    ["when the keys are too old to be believed", { keysBelievedUntil: 1_000 }, false]
  ])("knows a token %s: %o -> %s", (_, change, expected) => {
    const tokens = new VerifiedTokens(8)
    tokens.keep("digest", { ghostId: "Scout", from: 500, until: 2_000, keyGeneration: 1, ...claims })
    expect(tokens.find("digest", { ...present, ...change })?.ghostId === "Scout").toBe(expected)
  })

  it("knows one of the shared secret whatever becomes of the issuer's keys", () => {
    const tokens = new VerifiedTokens(8)
    tokens.keep("digest", { ghostId: "Scout", from: 500, until: 2_000, keyGeneration: undefined, ...claims })
    expect(tokens.find("digest", { ...present, keyGeneration: 7, keysBelievedUntil: 0 })?.ghostId).toBe("Scout")
  })

  it("forgets for good what no longer holds", () => {
    const tokens = new VerifiedTokens(8)
    tokens.keep("digest", { ghostId: "Scout", from: 0, until: 2_000, keyGeneration: 1, ...claims })
    expect(tokens.find("digest", { ...present, now: 2_000 })).toBeUndefined()
    expect(tokens.find("digest", present)).toBeUndefined()
    expect(tokens.size).toBe(0)
  })

  it("never holds more than it may, and never takes one for another", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.integer({ min: 2, max: 16 }),
        FastCheck.array(FastCheck.integer({ min: 0, max: 40 }), { maxLength: 200 }),
        (capacity, uses) => {
          const tokens = new VerifiedTokens(capacity)
          for (const use of uses) {
            const found = tokens.find(`digest ${use}`, present)
            if (found !== undefined) expect(found.ghostId).toBe(`ghost ${use}`)
            else
              tokens.keep(`digest ${use}`, {
                ghostId: `ghost ${use}`,
                from: 0,
                until: 2_000,
                keyGeneration: 1,
                ...claims
              })
            expect(tokens.size).toBeLessThanOrEqual(capacity)
          }
        }
      )
    )
  })

  it("keeps what is asked for again and again, however many others come", () => {
    const tokens = new VerifiedTokens(8)
    const verified = { ghostId: "Scout", from: 0, until: 2_000, keyGeneration: 1, ...claims }
    tokens.keep("busy", verified)
    for (let other = 0; other < 100; other++) {
      tokens.keep(`other ${other}`, verified)
      expect(tokens.find("busy", present)).toBeDefined()
    }
  })
})
