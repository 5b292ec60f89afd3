import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { median, medianRatio, type Percentiles, percentiles } from "../../../test/support/Samples.ts"
import { fixed, line, whole } from "../../../test/support/Table.ts"
import { rotated } from "../http/Drive.ts"
import { progress } from "../Progress.ts"
import type { Pace } from "../peers/Pace.ts"
import { driveStreams, type StreamMeasurement, streamLoad } from "./StreamLoad.ts"
import { type StreamTarget, startTargets, type TargetName } from "./StreamTargets.ts"

/** Streams at once. */
const levels = [1, 16, 64] as const

interface Measured {
  readonly target: StreamTarget
  readonly rounds: Array<StreamMeasurement>
}

const pooled = (rounds: ReadonlyArray<StreamMeasurement>, of: "firstByte" | "whole"): Percentiles =>
  percentiles(Float64Array.from(rounds.flatMap((round) => round[of].map((microseconds) => microseconds * 1_000))))

const latencies = (rounds: ReadonlyArray<StreamMeasurement>) => ({
  firstByte: pooled(rounds, "firstByte"),
  whole: pooled(rounds, "whole")
})

const times = (rounds: ReadonlyArray<StreamMeasurement>) => rounds.map((round) => round.processorTimePerChat)

const above = (value: Percentiles, bare: Percentiles) => ({ p50: value.p50 - bare.p50, p99: value.p99 - bare.p99 })

const summary = (streams: number, all: ReadonlyArray<Measured>) => {
  const roundsOf = (name: TargetName) => all.find(({ target }) => target.name === name)?.rounds ?? []
  const bare = latencies(roundsOf("provider"))
  return {
    streams,
    targets: all.map(({ rounds, target: { name, title } }) => {
      const microseconds = latencies(rounds)
      return {
        name,
        title,
        chats: rounds.reduce((sum, round) => sum + round.whole.length, 0),
        perSecond: median(rounds.map(({ perSecond }) => perSecond)),
        microseconds,
        /** Microseconds above those of the provider itself. */
        overhead: {
          firstByte: above(microseconds.firstByte, bare.firstByte),
          whole: above(microseconds.whole, bare.whole)
        },
        processorTimePerChat: median(times(rounds)),
        toPipe: medianRatio(times(rounds), times(roundsOf("pipe"))),
        generatorIdleShare: median(rounds.map(({ idleShare }) => idleShare))
      }
    })
  }
}

/**
 * Streamed chats through the router, beside the provider that it asks, a bare pipe and Portkey's gateway. All run at once and answer in
 * turns, so that the machine is the same for all.
 */
export const streamBench = (server: Redacted.Redacted, pace: Pace, against: string | undefined) =>
  Effect.gen(function* () {
    const { leftOut, targets } = yield* startTargets(server, against)
    const load = yield* streamLoad
    for (const target of targets) {
      yield* progress(`streams, warming up: ${target.title}`)
      yield* driveStreams(load, target, { streams: 16, millis: pace.warmUpMillis, requests: null })
    }
    const report: Array<ReturnType<typeof summary>> = []
    for (const streams of levels) {
      const all = targets.map((target): Measured => ({ target, rounds: [] }))
      for (let round = 1; round <= pace.rounds; round++) {
        yield* progress(`${streams} streams, round ${round} of ${pace.rounds}`)
        for (const { rounds, target } of rotated(all, round)) {
          rounds.push(yield* driveStreams(load, target, { streams, millis: pace.millis, requests: null }))
        }
      }
      report.push(summary(streams, all))
    }
    return { rounds: pace.rounds, leftOut, levels: report }
  }).pipe(Effect.scoped)

export type StreamReport = Effect.Effect.Success<ReturnType<typeof streamBench>>

const millis = (microseconds: number): string => fixed(2)(microseconds / 1_000)

export const streamTable = ({ leftOut, levels: measured }: StreamReport): ReadonlyArray<string> => [
  ...measured.flatMap(({ streams, targets }) => [
    line(`${streams} streams, ms; + is above the provider`, [
      "first p50",
      "+p50",
      "+p99",
      "whole p50",
      "+p50",
      "+p99",
      "cpu us each",
      "/ pipe",
      "per second",
      "idle %"
    ]),
    ...targets.map(({ generatorIdleShare, microseconds, overhead, perSecond, processorTimePerChat, title, toPipe }) =>
      line(title, [
        millis(microseconds.firstByte.p50),
        millis(overhead.firstByte.p50),
        millis(overhead.firstByte.p99),
        millis(microseconds.whole.p50),
        millis(overhead.whole.p50),
        millis(overhead.whole.p99),
        whole(processorTimePerChat),
        fixed(2)(toPipe),
        whole(perSecond),
        whole(generatorIdleShare * 100)
      ])
    ),
    ""
  ]),
  ...(leftOut === null ? [] : [`@portkey-ai/gateway is left out: ${leftOut}`])
]
