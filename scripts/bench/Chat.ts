import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type * as Redacted from "effect/Redacted"
import { benchServer } from "../../test/support/BenchDatabase.ts"
import { fixed, line } from "../../test/support/Table.ts"
import { type ChatReport, chatBench as measureEcho } from "./chat/ChatBench.ts"
import { memoryBench, memoryTable } from "./chat/MemoryBench.ts"
import { streamBench, streamTable } from "./chat/StreamBench.ts"
import { profileStreams, streamProfileTable } from "./chat/StreamProfile.ts"
import { briefPace, fullPace } from "./peers/Pace.ts"

const echoTable = ({
  connections,
  generatorIdleShare,
  microseconds,
  perSecond,
  processorTimePerRequest
}: ChatReport): ReadonlyArray<string> => [
  line(`chat with echo, ${connections} connections`, ["per second", "p50 ms", "p99 ms", "cpu ms each", "idle %"]),
  line("router, guardian and gatekeeper in one process", [
    fixed(0)(perSecond),
    fixed(1)(microseconds.p50 / 1_000),
    fixed(1)(microseconds.p99 / 1_000),
    fixed(2)(processorTimePerRequest / 1_000),
    fixed(0)(generatorIdleShare * 100)
  ]),
  ""
]

export interface ChatBenchOptions {
  readonly brief: boolean
  readonly json: boolean
  /** Only says where the processor's time goes. */
  readonly profile: boolean
  /** The file of the profile. */
  readonly out: string | undefined
  /** Only measures the memory over so many streams. */
  readonly streams: number | undefined
  /** Another checkout, installed, whose router takes part. */
  readonly against: string | undefined
}

const print = (json: boolean, report: unknown, table: ReadonlyArray<string>) =>
  Effect.sync(() => console.log(json ? JSON.stringify(report, null, 2) : table.join("\n")))

const latencies = (server: Redacted.Redacted, { against, brief, json }: ChatBenchOptions) =>
  Effect.gen(function* () {
    const pace = brief ? briefPace : fullPace
    const streams = yield* streamBench(server, pace, against)
    const echo = yield* measureEcho(server, pace)
    yield* print(json, { streams, echo }, [...streamTable(streams), ...echoTable(echo)])
  })

const memory = (server: Redacted.Redacted, streams: number, { json }: ChatBenchOptions) =>
  Effect.gen(function* () {
    const report = yield* memoryBench(server, streams)
    yield* print(json, report, memoryTable(report))
    if (!report.isFlat) process.exitCode = 1
  })

const profiled = (server: Redacted.Redacted, { brief, json, out }: ChatBenchOptions) =>
  Effect.flatMap(profileStreams(server, brief, out), (report) => print(json, report, streamProfileTable(report)))

/** `pnpm bench chat`: what a chat costs that passes all three services in one process, beside what passes it on alone. */
export const chatBench = (options: ChatBenchOptions): void =>
  Effect.flatMap(benchServer, (server) => {
    if (options.profile) return profiled(server, options)
    return options.streams === undefined ? latencies(server, options) : memory(server, options.streams, options)
  }).pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.Warning), NodeRuntime.runMain)
