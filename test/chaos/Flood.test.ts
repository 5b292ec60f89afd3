import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { flood, isAccountedFor } from "./harness/Flood.ts"

it.scopedLive(
  "a flood without valid tokens, while the table is locked, takes nothing from authenticated callers, and is accounted for",
  () =>
    Effect.gen(function* () {
      const run = yield* flood({ seconds: 4, seed: 5 })
      expect(run.authenticated).toEqual({ 200: run.rows.authenticated })
      expect(run.limited).toBeGreaterThan(0)
      expect({ ...run, isAccountedFor: isAccountedFor(run) }).toEqual({ ...run, isAccountedFor: true })
    }),
  { timeout: 120_000 }
)
