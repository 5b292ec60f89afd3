import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { benchServer } from "../../test/support/BenchDatabase.ts"
import * as HttpBench from "./http/HttpBench.ts"
import * as ProfileBench from "./http/ProfileBench.ts"

export interface HttpBenchOptions {
  readonly json: boolean
  /** Only says where the processor's time goes. */
  readonly profile: boolean
}

const shown = <A, E, R>(report: Effect.Effect<A, E, R>, table: (report: A) => ReadonlyArray<string>, json: boolean) =>
  Effect.flatMap(report, (report) =>
    Effect.sync(() => console.log(json ? JSON.stringify(report, null, 2) : table(report).join("\n")))
  )

/**
 * `pnpm bench http`: what the gatekeeper's `/validate` answers beside a bare `node:http` and a bare router with bodies as long, and
 * where its time goes. Cut short, it still stops its PostgreSQL and its processes.
 */
export const httpBench = ({ json, profile }: HttpBenchOptions): void =>
  NodeRuntime.runMain(
    Effect.flatMap(benchServer, (url) =>
      profile
        ? shown(ProfileBench.profileBench(url), ProfileBench.profileTable, json)
        : shown(HttpBench.httpBench(url), HttpBench.httpTable, json)
    ).pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.Warning))
  )
