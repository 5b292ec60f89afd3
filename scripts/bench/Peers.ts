import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type * as Redacted from "effect/Redacted"
import { benchServer, databaseOn } from "../../test/support/BenchDatabase.ts"
import { gatekeeperUp } from "../../test/support/GatekeeperSchema.ts"
import { fixed, line, whole } from "../../test/support/Table.ts"
import { generatorName } from "./http/HttpLoad.ts"
import { revisionBench, revisionTable } from "./migrate/RevisionBench.ts"
import { type HttpPeersReport, httpPeers } from "./peers/HttpPeers.ts"
import { type JournalingReport, journalingPeers } from "./peers/Journaling.ts"
import { briefPace, fullPace, type Pace } from "./peers/Pace.ts"

/** Everything that is measured beside other programs. */
export const measurePeers = (server: Redacted.Redacted, pace: Pace) =>
  Effect.gen(function* () {
    return {
      http: yield* httpPeers(server, pace),
      journaling: yield* databaseOn(server).pipe(
        Effect.tap(gatekeeperUp),
        Effect.flatMap((url) => journalingPeers(url, pace)),
        Effect.scoped
      ),
      migrations: yield* revisionBench(server, pace.rounds)
    }
  })

export type PeersReport = Effect.Effect.Success<ReturnType<typeof measurePeers>>

const millis = (microseconds: number): string => fixed(2)(microseconds / 1_000)

const httpLines = ({ connections, requestsPerSecond, rivals }: HttpPeersReport): ReadonlyArray<string> => [
  line(`POST /validate, ${connections} connections`, ["per second", "p50 ms", "p99 ms", "cpu us each", "idle %"]),
  ...rivals.map(({ closed, title }) =>
    line(title, [
      whole(closed.perSecond),
      millis(closed.microseconds.p50),
      millis(closed.microseconds.p99),
      whole(closed.processorTimePerRequest),
      whole(closed.generatorIdleShare * 100)
    ])
  ),
  `idle: of the load generator, ${generatorName}`,
  "",
  line(`at ${whole(requestsPerSecond)} a second, from the time due`, [
    "per second",
    "p50 ms",
    "p99 ms",
    "timer p99",
    "idle %"
  ]),
  ...rivals.map(({ open, title }) =>
    line(title, [
      whole(open.perSecond),
      millis(open.microseconds.p50),
      millis(open.microseconds.p99),
      millis(open.lateness.p99),
      whole(open.generatorIdleShare * 100)
    ])
  ),
  "",
  line("decisions", ["answered", "kept", "at SIGKILL", "lost"]),
  ...rivals
    .filter(({ kept }) => kept !== null)
    .map(({ answered, kept, killed, title }) =>
      line(title, [whole(answered), whole(kept ?? 0), whole(killed?.answered ?? 0), whole(killed?.lost ?? 0)])
    )
]

const journalingLines = ({ events, leftOut, subjects }: JournalingReport): ReadonlyArray<string> => [
  line(`keeping an event, ${whole(events)} each, microseconds`, ["mean", "p50", "p99", "missing"]),
  ...subjects.map(({ mean, microseconds, missing, title }) =>
    line(title, [fixed(2)(mean), fixed(2)(microseconds.p50), fixed(2)(microseconds.p99), whole(missing)])
  ),
  ...(leftOut === null ? [] : [`better-sqlite3 is left out: ${leftOut}`])
]

export const peersTable = ({ http, journaling, migrations }: PeersReport): string =>
  [httpLines(http), journalingLines(journaling), revisionTable(migrations)]
    .map((lines) => lines.join("\n"))
    .join("\n\n")

export interface PeersBenchOptions {
  readonly json: boolean
  readonly brief: boolean
}

/** `pnpm bench peers`: the gatekeeper, the journal and the migrator beside what a team might use instead, which it starts itself. */
export const peersBench = ({ brief, json }: PeersBenchOptions): void =>
  Effect.flatMap(benchServer, (server) => measurePeers(server, brief ? briefPace : fullPace)).pipe(
    Effect.scoped,
    Logger.withMinimumLogLevel(LogLevel.Warning),
    Effect.map((report) => console.log(json ? JSON.stringify(report, null, 2) : peersTable(report))),
    NodeRuntime.runMain
  )
