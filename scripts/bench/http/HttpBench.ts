import * as Effect from "effect/Effect"
import * as Record from "effect/Record"
import type * as Redacted from "effect/Redacted"
import { median, medianPercentiles, medianRatio } from "../../../test/support/Samples.ts"
import { fixed, line, whole } from "../../../test/support/Table.ts"
import { tokenOf } from "../../../test/support/Tokens.ts"
import { progress } from "../Progress.ts"
import { drive, type Measurement, question, rotated } from "./Drive.ts"
import { type HttpLoad, httpLoad } from "./HttpLoad.ts"
import { kinds, placeFor, type Rival, type Server, startServer } from "./Rivals.ts"

export interface HttpBenchOptions {
  readonly rivals: ReadonlyArray<Rival>
  readonly connections: number
  readonly rounds: number
  /** Of a round. */
  readonly millis: number
  /** The code of a server under its first load is not compiled yet: it was seen to become faster for ten seconds. */
  readonly warmUpMillis: number
}

/** A rival that is running, warm, and all that was measured of it. */
export interface RivalRun {
  readonly rival: Rival
  readonly server: Server
  /** Requests that it answered. */
  answered: number
  readonly rounds: Array<Measurement>
}

export interface Field {
  readonly load: HttpLoad
  readonly token: string
  readonly running: ReadonlyArray<RivalRun>
}

/** Starts each rival in a place of its own and warms it up. */
const started = ({ connections, rivals, warmUpMillis }: HttpBenchOptions, database: Redacted.Redacted) =>
  Effect.gen(function* () {
    const token = yield* Effect.promise(() => tokenOf("Librarian"))
    const load = yield* httpLoad
    const running: Array<RivalRun> = []
    for (const rival of rivals) {
      yield* progress(`starting and warming up: ${kinds[rival].title}`)
      const server = yield* startServer(yield* placeFor(database, rival), rival)
      const { requests } = yield* drive(load, server, question(server, token, { connections, millis: warmUpMillis }))
      running.push({ rival, server, answered: requests, rounds: [] })
    }
    const field: Field = { load, token, running }
    return field
  })

/** As many requests as each answers, in turns: the machine's mood is the same for all. The rivals go on until the scope ends. */
export const closedRounds = (options: HttpBenchOptions, database: Redacted.Redacted) =>
  Effect.gen(function* () {
    const field = yield* started(options, database)
    const { connections, millis, rounds } = options
    for (let round = 1; round <= rounds; round++) {
      yield* progress(`all that they answer, round ${round} of ${rounds}`)
      for (const one of rotated(field.running, round)) {
        const taken = yield* drive(field.load, one.server, question(one.server, field.token, { connections, millis }))
        one.answered += taken.requests
        one.rounds.push(taken)
      }
    }
    return field
  })

export const closedSummary = (rounds: ReadonlyArray<Measurement>) => ({
  perSecond: median(rounds.map(({ perSecond }) => perSecond)),
  microseconds: medianPercentiles(rounds.map(({ latency }) => latency)),
  processorTimePerRequest: median(rounds.map((driven) => driven.processorTimePerRequest)),
  generatorIdleShare: median(rounds.map(({ idleShare }) => idleShare))
})

/** The rounds of a rival, in order; an empty list where it did not take part. */
export const roundsOf = ({ running }: Field, rival: Rival): ReadonlyArray<Measurement> =>
  running.find((one) => one.rival === rival)?.rounds ?? []

/** Median of the ratios of each round, both sides of which ran one after the other. */
export const ratioOf = (field: Field, above: Rival, below: Rival, value: (taken: Measurement) => number): number =>
  medianRatio(roundsOf(field, above).map(value), roundsOf(field, below).map(value))

/** By the names that the report has had. */
const reported = { node: "node", router: "router", validate: "journal", unaudited: "off" } as const

/** `/validate` beside what it stands on. */
export const httpBench = (database: Redacted.Redacted) =>
  Effect.gen(function* () {
    const rivals = Object.values(reported)
    const options = { rivals, connections: 16, rounds: 10, millis: 1_200, warmUpMillis: 10_000 }
    const field = yield* closedRounds(options, database)
    return {
      connections: options.connections,
      ...Record.map(reported, (rival) => ({
        ...closedSummary(roundsOf(field, rival)),
        toRouter: ratioOf(field, rival, "router", ({ perSecond }) => perSecond)
      }))
    }
  }).pipe(Effect.scoped)

export type HttpReport = Effect.Effect.Success<ReturnType<typeof httpBench>>

export const httpTable = (report: HttpReport): ReadonlyArray<string> => [
  line(`POST, ${report.connections} connections`, [
    "per second",
    "p50 ms",
    "p99 ms",
    "cpu us each",
    "/ router",
    "idle %"
  ]),
  ...Record.toEntries(reported).map(([name, rival]) => {
    const { generatorIdleShare, microseconds, perSecond, processorTimePerRequest, toRouter } = report[name]
    return line(kinds[rival].title, [
      whole(perSecond),
      fixed(2)(microseconds.p50 / 1_000),
      fixed(2)(microseconds.p99 / 1_000),
      whole(processorTimePerRequest),
      fixed(2)(toRouter),
      whole(generatorIdleShare * 100)
    ])
  }),
  "idle: share of the time in which the load generator, a process of its own, waited for answers"
]
