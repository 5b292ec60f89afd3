import { describe, expect, it } from "@effect/vitest"
import { median, medianPercentiles, medianRatio, percentiles, pooledPercentiles } from "./Samples.ts"

describe("samples", () => {
  it("give percentiles in microseconds, whatever their order", () => {
    const samples = Float64Array.from({ length: 1_000 }, (_, index) => ((index * 7) % 1_000) * 1_000)
    expect(percentiles(samples)).toEqual({ p50: 500, p99: 990, p999: 999 })
  })

  it("give zeros where there are none", () => {
    expect(percentiles(new Float64Array())).toEqual({ p50: 0, p99: 0, p999: 0 })
  })

  it("have the median of rounds, which a disturbed round does not move", () => {
    expect(median([3, 1, 900, 2, 4])).toBe(3)
    expect(median([])).toBeNaN()
    const calm = { p50: 1, p99: 2, p999: 3 }
    expect(medianPercentiles([calm, { p50: 100, p99: 200, p999: 300 }, calm])).toEqual(calm)
  })

  it("have the median of each round's ratio, not the ratio of the medians", () => {
    // The second and third round met a machine that was four times slower, for both sides.
    expect(medianRatio([10, 40, 44, 11, 10], [5, 20, 22, 5.5, 5])).toBe(2)
    expect(medianRatio([1, 2], [1])).toBeNaN()
  })

  it("have a tail together that few samples alone have not", () => {
    const rounds = [Float64Array.from([1_000, 1_000]), Float64Array.from([1_000, 9_000])]
    expect(pooledPercentiles(rounds)).toEqual({ p50: 1, p99: 9, p999: 9 })
  })
})
