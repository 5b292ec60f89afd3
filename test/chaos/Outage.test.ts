import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { faultNames } from "./harness/Faults.ts"
import { outage } from "./harness/OutageRun.ts"

describe("a gatekeeper under load, while one fault after the other happens to PostgreSQL", { timeout: 180_000 }, () => {
  it.scopedLive("decides as before, recovers by itself each time, and has every answer in the table, once", () =>
    Effect.gen(function* () {
      const { answered, faults, trail, ...run } = yield* outage({
        mode: "journal",
        faults: faultNames,
        seed: 7,
        rate: 200,
        watch: { before: 300, during: 1_500, after: 200 }
      })
      expect(faults.map(({ fault }) => fault).toSorted()).toEqual([...faultNames].toSorted())
      for (const { after, before, during, fault, settled } of faults) {
        const unavailable = [before, during, after].map((window) => window?.byStatus["503"] ?? 0)
        expect({ fault, settled, unavailable }).toEqual({ fault, settled: true, unavailable: [0, 0, 0] })
      }
      expect(answered).toBe(run.sent)
      expect(run).toMatchObject({ found: answered, lost: [], twice: [], contradicted: [], quarantined: 0, exitCode: 0 })
      expect(trail).toMatchObject({ gaps: 0, repeated: 0, deadLetters: 0 })
    })
  )
})
