import { describe, expect, it } from "@effect/vitest"
import { isDeeperThan } from "../../src/domain/Text.ts"

const nested = (depth: number): unknown => JSON.parse(`${'{"a":['.repeat(depth / 2)}1${"]}".repeat(depth / 2)}`)

describe("isDeeperThan", () => {
  it("counts objects and arrays within each other from 1", () => {
    expect(isDeeperThan("text", 0)).toBe(false)
    expect(isDeeperThan({}, 0)).toBe(true)
    expect(isDeeperThan([], 1)).toBe(false)
    expect(isDeeperThan(nested(32), 32)).toBe(false)
    expect(isDeeperThan(nested(32), 31)).toBe(true)
    expect(isDeeperThan({ wide: [1, null, "x"], deep: { er: [{}] } }, 3)).toBe(true)
  })

  it("takes no stack, however deep it goes", () => {
    expect(isDeeperThan(nested(10_000), 10_000)).toBe(false)
    expect(isDeeperThan(nested(10_000), 9_999)).toBe(true)
  })
})
