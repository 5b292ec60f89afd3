import { describe, expect, it } from "@effect/vitest"
import { type MemorySample, slopeOf, trendOf } from "./MemoryTrend.ts"

const megabyte = 2 ** 20

const samples = (heapOf: (streams: number) => number): ReadonlyArray<MemorySample> =>
  [0, 2_000, 4_000, 6_000, 8_000, 10_000].map((streams) => ({
    streams,
    heapUsed: heapOf(streams),
    rss: 200 * megabyte
  }))

describe("MemoryTrend", () => {
  it("finds the slope of a line, and the best one among points beside it", () => {
    expect(
      slopeOf([
        [0, 5],
        [1, 7],
        [2, 9]
      ])
    ).toBeCloseTo(2)
    expect(
      slopeOf([
        [0, 0],
        [1, 2],
        [2, 1]
      ])
    ).toBeCloseTo(0.5)
  })

  it("calls memory flat that grows only while caches fill", () => {
    const filling = trendOf(samples((streams) => 50 * megabyte + Math.min(streams, 4_000) * 5_000))
    expect(filling.isFlat).toBe(true)
    expect(filling.perStream.heapUsed).toBeCloseTo(0)
  })

  it("does not call memory flat in which each stream leaves a kilobyte", () => {
    const leaking = trendOf(samples((streams) => 50 * megabyte + streams * 1_024))
    expect(leaking.isFlat).toBe(false)
    expect(leaking.perStream.heapUsed).toBeCloseTo(1_024)
  })
})
