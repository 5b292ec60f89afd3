import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { backlog, isWhole } from "./harness/Backlog.ts"

const events = 20_000
const step = 4_000
/** What a trail with a journal holds in memory. */
const capacity = 8_192

describe("a trail whose database is away while more is recorded than its memory holds", { timeout: 60_000 }, () => {
  it.scopedLive("keeps the rest in its journal only, and writes all of it, once, when the database is back", () =>
    Effect.gen(function* () {
      const run = yield* backlog({ events, step })
      expect(run.filling.map(({ depth }) => depth)).toEqual([0, 1, 2, 3, 4, 5].map((number) => number * step))
      for (const { beyond, depth } of run.filling) expect(depth - beyond).toBe(Math.min(depth, capacity))
      expect(run.trail).toEqual({ rows: events, sources: 1, gaps: 0, repeated: 0, deadLetters: 0 })
      expect(run.account).toEqual({ lives: 1, tails: 0, named: 0, wrong: [] })
      expect(isWhole(run)).toBe(true)
    })
  )
})
