import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { race, starter } from "../../support/migrator/Starters.ts"
import { freshDatabase } from "../../support/TestDatabase.ts"

/** Milliseconds before each of eight starts: all at once, staggered, two waves, one late, one early. */
const timings: ReadonlyArray<readonly [string, ReadonlyArray<number>]> = [
  ["at once", [0, 0, 0, 0, 0, 0, 0, 0]],
  ["one after the other", [0, 10, 20, 30, 40, 50, 60, 70]],
  ["in two waves", [0, 0, 0, 0, 60, 60, 60, 60]],
  ["with one ahead", [0, 25, 25, 25, 25, 25, 25, 25]],
  ["with one behind", [0, 0, 0, 0, 0, 0, 0, 200]]
]

describe("eight processes that start together on an empty database", { timeout: 120_000 }, () => {
  it.scopedLive("all succeed, only one applies revisions, and the history is the same whatever their timing", () =>
    Effect.gen(function* () {
      const starters = yield* Effect.all(
        Array.from({ length: 8 }, () => starter),
        { concurrency: "unbounded" }
      )
      const histories = new Set<string>()
      for (const [timing, delays] of timings) {
        const round = yield* race(starters, yield* freshDatabase, "guardian", delays)
        expect({ timing, problems: round.problems, appliers: round.appliers }).toEqual({
          timing,
          problems: [],
          appliers: 1
        })
        histories.add(JSON.stringify([round.history, round.events]))
      }
      expect([...histories]).toHaveLength(1)
      expect([...histories][0]).toContain("application_role")
    })
  )
})
