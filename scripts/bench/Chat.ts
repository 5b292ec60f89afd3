import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { benchServer } from "../../test/support/BenchDatabase.ts"
import * as ChatBench from "./chat/ChatBench.ts"

export interface ChatBenchOptions {
  readonly json: boolean
  /** Only says where the processor's time goes. */
  readonly profile: boolean
}

const shown = <A, E, R>(report: Effect.Effect<A, E, R>, table: (report: A) => ReadonlyArray<string>, json: boolean) =>
  Effect.flatMap(report, (report) =>
    Effect.sync(() => console.log(json ? JSON.stringify(report, null, 2) : table(report).join("\n")))
  )

/** `pnpm bench chat`: the processor time of a chat through router, guardian and gatekeeper in one process, and where it goes. */
export const chatBench = ({ json, profile }: ChatBenchOptions): void =>
  NodeRuntime.runMain(
    Effect.flatMap(benchServer, (url) =>
      profile
        ? shown(ChatBench.chatProfile(url), ChatBench.chatProfileTable, json)
        : shown(ChatBench.chatBench(url), ChatBench.chatTable, json)
    ).pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.Warning))
  )
