import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Durability } from "../../src/domain/Durability.ts"
import { migratedDatabase } from "../support/TestDatabase.ts"
import { keptPromise, kill, totals } from "./harness/Kill.ts"
import { strikes } from "./harness/KillPlan.ts"

/** Five rounds in which every strike of `KillPlan` comes up; `pnpm chaos kill` does more. */
const rounds = { rounds: strikes.length, seed: 402 }

const run = (mode: Durability) =>
  Effect.flatMap(migratedDatabase, (databaseUrl) => kill({ mode, databaseUrl, ...rounds })).pipe(
    Effect.tap((run) =>
      Effect.sync(() => expect(run.rounds.map(({ plan }) => plan.strike).toSorted()).toEqual(strikes.toSorted()))
    )
  )

const well = { twice: 0, contradicted: 0, unsettled: 0 }
const whole = { repeated: 0, deadLetters: 0 }

describe("a gatekeeper that is killed under load, five times, and started again", { timeout: 240_000 }, () => {
  it.scopedLive("in the mode memory loses what it had answered and not written, and the trail says so", () =>
    Effect.gen(function* () {
      const memory = yield* run("memory")
      const { answered, found, lost, ...rest } = totals(memory)
      expect(lost).toBeGreaterThan(0)
      expect(found).toBe(answered - lost)
      expect(rest).toMatchObject(well)
      expect(memory.trail).toMatchObject(whole)
      // Of each process that did not end in order, a receipt says up to where it is known, and what is missing before.
      expect(memory.account.wrong).toEqual([])
      expect(memory.account.tails).toBeGreaterThan(4)
      expect(keptPromise(memory)).toBe(true)
    })
  )

  for (const mode of ["journal", "fsync", "commit"] as const) {
    it.scopedLive(`in the mode ${mode} has every answer in the table, once`, () =>
      Effect.gen(function* () {
        const safe = yield* run(mode)
        const { answered, ...rest } = totals(safe)
        expect(answered).toBeGreaterThan(31 * safe.rounds.length)
        expect(rest).toMatchObject({ ...well, found: answered, lost: 0 })
        expect(safe.trail).toMatchObject({ ...whole, gaps: 0 })
        expect(safe.account).toMatchObject({ tails: 0, named: 0, wrong: [] })
        expect(safe.quarantined).toBe(0)
        expect(keptPromise(safe)).toBe(true)
      })
    )
  }
})
