import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { benchServer } from "../../test/support/BenchDatabase.ts"
import { fixed, line } from "../../test/support/Table.ts"
import { type ChatReport, chatBench as measure } from "./chat/ChatBench.ts"
import { briefPace, fullPace } from "./peers/Pace.ts"

const table = ({
  connections,
  generatorIdleShare,
  microseconds,
  perSecond,
  processorTimePerRequest
}: ChatReport): string =>
  [
    line(`chat with echo, ${connections} connections`, ["per second", "p50 ms", "p99 ms", "cpu ms each", "idle %"]),
    line("router, guardian and gatekeeper in one process", [
      fixed(0)(perSecond),
      fixed(1)(microseconds.p50 / 1_000),
      fixed(1)(microseconds.p99 / 1_000),
      fixed(2)(processorTimePerRequest / 1_000),
      fixed(0)(generatorIdleShare * 100)
    ])
  ].join("\n")

/** `pnpm bench chat`: what a chat costs that passes all three services in one process. */
export const chatBench = ({ brief, json }: { readonly brief: boolean; readonly json: boolean }): void =>
  Effect.flatMap(benchServer, (server) => measure(server, brief ? briefPace : fullPace)).pipe(
    Effect.scoped,
    Logger.withMinimumLogLevel(LogLevel.Warning),
    Effect.map((report) => console.log(json ? JSON.stringify(report, null, 2) : table(report))),
    NodeRuntime.runMain
  )
