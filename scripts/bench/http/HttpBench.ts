import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { fixed, line, whole } from "../../../test/support/Table.ts"
import { tokenOf } from "../../../test/support/Tokens.ts"
import { httpLoad } from "../audit/HttpLoad.ts"
import { progress } from "../Progress.ts"
import { median, medianPercentiles } from "../Samples.ts"
import { type Rival, rivals, type Server, startServer } from "./Rivals.ts"

const connections = 16
const rounds = 10
const roundMillis = 1_200
/** The code of a server under its first load is not compiled yet: it was seen to become faster for ten seconds. */
const warmUpMillis = 10_000

export const body = JSON.stringify({
  action: "execute",
  resource: "shells/l1/small-model",
  metadata: { shell_id: "gemma2:27b", complexity: 5, priority: 10, client: "bench", labels: ["a", "b"] }
})

const processorTime = ({ process }: Server) =>
  process.send("usage").pipe(
    Effect.zipRight(process.next(Schema.Struct({ processorTime: Schema.Number }))),
    Effect.map((usage) => usage.processorTime)
  )

export const drive = (server: Server, token: string, millis: number) =>
  Effect.gen(function* () {
    const before = yield* processorTime(server)
    const driven = yield* httpLoad({ url: server.url, token, body, connections, millis })
    const after = yield* processorTime(server)
    // What is still to be written must not burden the next one.
    yield* Effect.sleep("300 millis")
    return { ...driven, processorTimePerRequest: (after - before) / driven.requests }
  })

type Taken = Effect.Effect.Success<ReturnType<typeof drive>>

/** Rotates the order each round, so that none is always the first. */
const rotated = (round: number): ReadonlyArray<Rival> =>
  rivals.map((_, index) => rivals[(index + round) % rivals.length] ?? "node")

/** `/validate` beside what it stands on, in one run: the machine's mood is the same for all. */
export const httpBench = (database: Redacted.Redacted) =>
  Effect.gen(function* () {
    const token = yield* Effect.promise(() => tokenOf("Librarian"))
    const servers = yield* Effect.all({
      node: startServer(database, "node"),
      router: startServer(database, "router"),
      validate: startServer(database, "validate"),
      unaudited: startServer(database, "unaudited")
    })
    for (const rival of rivals) {
      yield* progress(`warming up: ${rival}`)
      yield* drive(servers[rival], token, warmUpMillis)
    }
    const taken: Record<Rival, Array<Taken>> = { node: [], router: [], validate: [], unaudited: [] }
    for (let round = 1; round <= rounds; round++) {
      yield* progress(`round ${round} of ${rounds}`)
      for (const rival of rotated(round)) taken[rival].push(yield* drive(servers[rival], token, roundMillis))
    }
    const summary = (rival: Rival) => ({
      perSecond: median(taken[rival].map(({ perSecond }) => perSecond)),
      microseconds: medianPercentiles(taken[rival].map(({ latency }) => latency)),
      processorTimePerRequest: median(taken[rival].map((driven) => driven.processorTimePerRequest)),
      /** Round by round. */
      toRouter: median(taken[rival].map(({ perSecond }, at) => perSecond / (taken.router[at]?.perSecond ?? Number.NaN)))
    })
    return {
      connections,
      node: summary("node"),
      router: summary("router"),
      validate: summary("validate"),
      unaudited: summary("unaudited")
    }
  }).pipe(Effect.scoped)

export type HttpReport = Effect.Effect.Success<ReturnType<typeof httpBench>>

const names: Readonly<Record<Rival, string>> = {
  node: "bare node:http",
  router: "bare router of @effect/platform",
  validate: "/validate",
  unaudited: "/validate without a trail"
}

export const httpTable = (report: HttpReport): ReadonlyArray<string> => [
  line(`POST, ${report.connections} connections`, ["per second", "p50 ms", "p99 ms", "cpu us each", "/ router"]),
  ...rivals.map((rival) => {
    const { microseconds, perSecond, processorTimePerRequest, toRouter } = report[rival]
    return line(names[rival], [
      whole(perSecond),
      fixed(2)(microseconds.p50 / 1_000),
      fixed(2)(microseconds.p99 / 1_000),
      whole(processorTimePerRequest),
      fixed(2)(toRouter)
    ])
  })
]
