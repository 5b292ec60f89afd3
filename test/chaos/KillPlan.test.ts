import { describe, expect, it } from "@effect/vitest"
import { plan, strikes } from "./harness/KillPlan.ts"

const seeds = Array.from({ length: 400 }, (_, index) => index)

describe("the plan of a kill round", () => {
  it("follows from its seed alone", () => {
    expect(seeds.map(plan)).toEqual(seeds.map(plan))
    expect(new Set(seeds.map((seed) => JSON.stringify({ ...plan(seed), seed: 0 }))).size).toBe(seeds.length)
  })

  it("strikes in every way within any eight rounds in a row", () => {
    for (const seed of seeds) {
      const kinds = Array.from({ length: 8 }, (_, number) => plan(seed + number).strike)
      expect(new Set(kinds)).toEqual(new Set(strikes))
    }
  })

  it("strikes at any moment of the first second and a half", () => {
    const moments = seeds.map((seed) => plan(seed).servedFor)
    for (let tenth = 0; tenth < 10; tenth++) {
      const within = moments.filter((moment) => moment >= tenth * 150 && moment < (tenth + 1) * 150)
      expect(within.length).toBeGreaterThan(seeds.length / 20)
    }
  })
})
