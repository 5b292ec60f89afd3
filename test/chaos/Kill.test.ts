import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { kill, totals } from "../../scripts/chaos/Kill.ts"
import type { Durability } from "../../src/domain/Durability.ts"
import { freshDatabase } from "../support/TestDatabase.ts"

const run = (mode: Durability) =>
  Effect.flatMap(freshDatabase, (databaseUrl) => kill({ mode, databaseUrl, rounds: 8, seed: 400 })).pipe(
    Effect.map((run) => ({ ...totals(run), trail: run.trail, quarantined: run.quarantined }))
  )

describe("a gatekeeper that is killed under load, eight times, and started again", { timeout: 120_000 }, () => {
  it.scopedLive("in the mode memory loses what it had answered and not written, and this is seen", () =>
    Effect.gen(function* () {
      const { answered, found, lost, ...rest } = yield* run("memory")
      expect(lost).toBeGreaterThan(0)
      expect(found).toBe(answered - lost)
      expect(rest).toMatchObject({ twice: 0, contradicted: 0, unsettled: 0 })
    })
  )

  for (const mode of ["journal", "fsync", "commit"] as const) {
    it.scopedLive(`in the mode ${mode} has every answer in the table, once`, () =>
      Effect.gen(function* () {
        const { answered, trail, ...rest } = yield* run(mode)
        expect(answered).toBeGreaterThan(500)
        expect(rest).toMatchObject({
          found: answered,
          lost: 0,
          twice: 0,
          contradicted: 0,
          unsettled: 0,
          quarantined: 0
        })
        expect(trail).toMatchObject({ gaps: 0, repeated: 0, deadLetters: 0 })
      })
    )
  }
})
