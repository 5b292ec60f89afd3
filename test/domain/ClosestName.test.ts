import { describe, expect, it } from "@effect/vitest"
import { closestName, didYouMean, editDistance } from "../../src/domain/ClosestName.ts"

describe("The distance of two texts", () => {
  for (const [one, other, distance] of [
    ["status", "status", 0],
    ["statu", "status", 1],
    ["sttaus", "status", 1],
    ["ca", "abc", 3],
    ["", "ab", 2],
    ["kitten", "sitting", 3]
  ] as const) {
    it(`from "${one}" to "${other}" is ${distance}, both ways`, () => {
      expect([editDistance(one, other, 5), editDistance(other, one, 5)]).toEqual([distance, distance])
    })
  }

  it("is not counted beyond its bound", () => {
    expect(editDistance("kitten", "sitting", 1)).toBe(2)
    expect(editDistance("a", "abcdefgh", 2)).toBe(3)
  })
})

describe("The closest name", () => {
  const names = ["migrate", "trail", "token", "journal", "policy"]
  for (const [given, closest] of [
    ["migrat", "migrate"],
    ["imgrate", "migrate"],
    ["trial", "trail"],
    ["tokens", "token"],
    ["xyz", undefined],
    ["to", undefined],
    ["telephone", undefined]
  ] as const) {
    it(`to "${given}" is ${closest ?? "missing"}`, () => {
      expect(closestName(given, names)).toBe(closest)
      expect(didYouMean(given, names)).toBe(closest === undefined ? "" : `; did you mean ${closest}?`)
    })
  }
})
