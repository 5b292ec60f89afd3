import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { type BenchProcess, benchProcess } from "../../../test/support/BenchProcess.ts"
import { fixed, line, whole } from "../../../test/support/Table.ts"
import { temporaryHome } from "../../../test/support/TemporaryHome.ts"
import { signingSecret, tokenOf } from "../../../test/support/Tokens.ts"
import { progress } from "../Progress.ts"
import { median, medianPercentiles } from "../Samples.ts"
import { type Driven, httpLoad } from "./HttpLoad.ts"

const audits = ["off", "memory", "journal"] as const
type Audit = (typeof audits)[number]

const rounds = 12
const connections = 32
const roundMillis = 1_200
/** The code of a server under its first load is not compiled yet. */
const warmUpMillis = 4_000

const policy = fileURLToPath(new URL("../../../config/access-policy.yaml", import.meta.url))

const body = JSON.stringify({
  action: "execute",
  resource: "shells/l1/small-model",
  metadata: { shell_id: "gemma2:27b", complexity: 5, priority: 10, client: "bench", labels: ["a", "b"] }
})

interface Server {
  readonly process: BenchProcess
  readonly url: string
}

const startServer = (url: Redacted.Redacted, audit: Audit) =>
  Effect.gen(function* () {
    const process = yield* benchProcess({
      program: "scripts/bench/audit/ValidateServer.ts",
      words: [audit],
      environment: {
        DATABASE_URL: Redacted.value(url),
        GRAVITAS_HOME: yield* temporaryHome,
        GATEKEEPER_PORT: "0",
        JWT_SECRET_KEY: signingSecret,
        ACCESS_POLICY_PATH: policy,
        LOG_LEVEL: "error",
        ...(audit === "off" ? {} : { AUDIT_DURABILITY: audit })
      }
    })
    const told = yield* process.next(Schema.Struct({ url: Schema.String }))
    const server: Server = { process, url: told.url }
    return server
  })

const processorTime = ({ process }: Server) =>
  process.send("usage").pipe(
    Effect.zipRight(process.next(Schema.Struct({ processorTime: Schema.Number }))),
    Effect.map((usage) => usage.processorTime)
  )

interface Taken extends Driven {
  /** The server's own, in microseconds. */
  readonly processorTimePerRequest: number
}

const drive = (server: Server, token: string, millis: number) =>
  Effect.gen(function* () {
    const before = yield* processorTime(server)
    const driven = yield* httpLoad({ url: server.url, token, body, connections, millis })
    const after = yield* processorTime(server)
    const taken: Taken = { ...driven, processorTimePerRequest: (after - before) / driven.requests }
    // What is still to be written must not burden the next one.
    yield* Effect.sleep("300 millis")
    return taken
  })

/** Rotates the order each round, so that none is always the first. */
const rotated = (round: number): ReadonlyArray<Audit> =>
  audits.map((_, index) => audits[(index + round) % audits.length] ?? "off")

/** `/validate` under as much load as it answers, with a trail and without. */
export const validateBench = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const token = yield* Effect.promise(() => tokenOf("Librarian"))
    const servers = yield* Effect.all({
      off: startServer(url, "off"),
      memory: startServer(url, "memory"),
      journal: startServer(url, "journal")
    })
    for (const audit of audits) {
      yield* progress(`/validate, warming up with audit ${audit}`)
      yield* drive(servers[audit], token, warmUpMillis)
    }
    const taken: Record<Audit, Array<Taken>> = { off: [], memory: [], journal: [] }
    for (let round = 1; round <= rounds; round++) {
      yield* progress(`/validate, round ${round} of ${rounds}`)
      for (const audit of rotated(round)) taken[audit].push(yield* drive(servers[audit], token, roundMillis))
    }
    const summary = (audit: Audit) => ({
      perSecond: median(taken[audit].map(({ perSecond }) => perSecond)),
      microseconds: medianPercentiles(taken[audit].map(({ latency }) => latency)),
      processorTimePerRequest: median(taken[audit].map((driven) => driven.processorTimePerRequest))
    })
    const ratio = (audit: Audit) =>
      median(taken[audit].map(({ perSecond }, round) => perSecond / (taken.off[round]?.perSecond ?? Number.NaN)))
    return {
      connections,
      off: summary("off"),
      memory: summary("memory"),
      journal: summary("journal"),
      ratios: { memoryToOff: ratio("memory"), journalToOff: ratio("journal") }
    }
  }).pipe(Effect.scoped)

export type ValidateReport = Effect.Effect.Success<ReturnType<typeof validateBench>>

export const validateTable = (report: ValidateReport): ReadonlyArray<string> => {
  const cells = (audit: Audit) => {
    const { microseconds, perSecond, processorTimePerRequest } = report[audit]
    return [
      whole(perSecond),
      ...[microseconds.p50, microseconds.p99].map((value) => fixed(2)(value / 1_000)),
      whole(processorTimePerRequest)
    ]
  }
  return [
    line(`/validate, ${report.connections} connections`, ["per second", "p50 ms", "p99 ms", "cpu us each", "/ off"]),
    line("without audit", cells("off")),
    line("audit in memory", [...cells("memory"), fixed(3)(report.ratios.memoryToOff)]),
    line("audit with the journal", [...cells("journal"), fixed(3)(report.ratios.journalToOff)])
  ]
}
