import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { isStopped, type StopScenario, stopGhost } from "./harness/StopGhost.ts"

const scenarios: ReadonlyArray<Pick<StopScenario, "processes" | "event">> = [
  { processes: "one", event: "nothing" },
  { processes: "one", event: "postgres" },
  { processes: "three", event: "gatekeeper" },
  { processes: "three", event: "guardian" },
  { processes: "three", event: "expiry" }
]

describe("a ghost that is stopped while it streams", { timeout: 180_000 }, () => {
  for (const scenario of scenarios) {
    it.scopedLive(`has nothing left within five seconds: ${scenario.processes}, ${scenario.event}`, () =>
      Effect.gen(function* () {
        const run = yield* stopGhost({ ...scenario, streams: 6, seed: 11 })
        expect({ ...run, isStopped: isStopped(run) }).toMatchObject({ ...run, isStopped: true })
      })
    )
  }
})
