import * as Hash from "effect/Hash"
import { PCGRandom } from "effect/Utils"

/**
 * Where a round's SIGKILL strikes.
 *
 * - `serving`: while it answers, and the drain is a moment behind at most.
 * - `behind`: while it answers, and nothing could be written for a while: much is left to the next process.
 * - `stopping`: while it writes what is left after a SIGTERM.
 * - `starting`: while it answers, and the next process before it is ready.
 * - `adopting`: as `behind`, and the next process too, while it writes what was left and answers.
 */
export const strikes = ["serving", "behind", "stopping", "starting", "adopting"] as const
export type Strike = (typeof strikes)[number]

/** One round. Durations in milliseconds. */
export interface KillPlan {
  readonly seed: number
  readonly strike: Strike
  readonly rate: number
  readonly connections: number
  /** From the first answer to the SIGKILL; to the SIGTERM before it when it strikes while stopping. */
  readonly servedFor: number
  /** From the first answer until nothing can be written to the table any more; null when all can. */
  readonly writableFor: number | null
  /** From the SIGTERM to the SIGKILL; null when there is no SIGTERM. */
  readonly stoppingFor: number | null
  /** Lives of processes that are killed before the next round's: from their start, or from when they are ready. */
  readonly doomed: ReadonlyArray<{ readonly from: "start" | "ready"; readonly for: number }>
}

/** Every strike comes up in any eight rounds in a row. */
const turns: ReadonlyArray<Strike> = [
  "serving",
  "behind",
  "stopping",
  "serving",
  "starting",
  "behind",
  "adopting",
  "serving"
]

/** A process is ready after about a second and a half. */
const startMillis = 1_900

/** A round follows from its seed alone; its successor's seed is the next number, so that a run can be taken up anywhere. */
export const plan = (seed: number): KillPlan => {
  const random = new PCGRandom(Hash.string(`kill ${seed}`))
  const between = (min: number, max: number) => min + random.integer(max - min)
  const strike = turns[seed % turns.length] ?? "serving"
  const servedFor = between(0, 1_500)
  const isBehind = strike === "behind" || strike === "adopting"
  return {
    seed,
    strike,
    rate: between(300, 600),
    connections: between(8, 48),
    servedFor,
    // Half of the stops also have more to write than they have time for.
    writableFor: isBehind || (strike === "stopping" && random.integer(2) === 0) ? between(0, servedFor + 1) : null,
    stoppingFor: strike === "stopping" ? between(0, 500) : null,
    doomed:
      strike === "starting"
        ? Array.from({ length: between(1, 3) }, () => ({ from: "start" as const, for: between(0, startMillis) }))
        : strike === "adopting"
          ? [{ from: "ready" as const, for: between(0, 300) }]
          : []
  }
}
