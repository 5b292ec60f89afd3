import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type * as Redacted from "effect/Redacted"
import { benchServer, databaseOn } from "../../test/support/BenchDatabase.ts"
import { gatekeeperUp } from "../../test/support/GatekeeperSchema.ts"
import { aimsTable } from "./audit/Aims.ts"
import { confirmedBench, confirmedTable } from "./audit/ConfirmedBench.ts"
import { drainBench, drainTable } from "./audit/DrainBench.ts"
import { profileBench, profileTable } from "./audit/Profile.ts"
import { recordBench, recordTable } from "./audit/RecordBench.ts"
import { recoveryBench, recoveryTable } from "./audit/RecoveryBench.ts"
import { validateBench, validateTable } from "./audit/ValidateBench.ts"

export interface AuditBenchOptions {
  readonly json: boolean
  /** Only says where the time of `record` goes. */
  readonly profile: boolean
  /** Left behind by the process that is killed. */
  readonly events: number
}

/** Each part has a table of its own size: what one leaves behind must not slow the next. */
const onNewDatabase = <A, E, R>(server: Redacted.Redacted, part: (url: Redacted.Redacted) => Effect.Effect<A, E, R>) =>
  databaseOn(server).pipe(Effect.tap(gatekeeperUp), Effect.flatMap(part), Effect.scoped)

const measure = (events: number) =>
  Effect.gen(function* () {
    const server = yield* benchServer
    return {
      record: yield* onNewDatabase(server, (url) => recordBench(url)),
      confirmed: yield* onNewDatabase(server, confirmedBench),
      drain: yield* onNewDatabase(server, (url) => drainBench(url)),
      validate: yield* validateBench(server),
      recovery: yield* onNewDatabase(server, (url) => recoveryBench(url, events))
    }
  }).pipe(Effect.scoped)

type Report = Effect.Effect.Success<ReturnType<typeof measure>>

const table = ({ confirmed, drain, record, recovery, validate }: Report): string =>
  [
    recordTable(record),
    confirmedTable(confirmed),
    drainTable(drain),
    validateTable(validate),
    recoveryTable(recovery),
    aimsTable({ record, drain, validate })
  ]
    .map((lines) => lines.join("\n"))
    .join("\n\n")

const profile = Effect.flatMap(benchServer, (server) => onNewDatabase(server, profileBench)).pipe(Effect.scoped)

const shown = <A, E, R>(report: Effect.Effect<A, E, R>, text: (report: A) => string, json: boolean) =>
  Effect.flatMap(report, (report) =>
    Effect.sync(() => console.log(json ? JSON.stringify(report, null, 2) : text(report)))
  )

/**
 * `pnpm bench audit`: what recording costs a request, how fast the drain and the recovery are beside plain ways to write the rows,
 * and what a trail costs `/validate`. Cut short, it still stops its PostgreSQL and its processes.
 */
export const auditBench = ({ events, json, profile: isProfile }: AuditBenchOptions): void =>
  NodeRuntime.runMain(
    (isProfile
      ? shown(profile, (report) => profileTable(report).join("\n"), json)
      : shown(measure(events), table, json)
    ).pipe(Logger.withMinimumLogLevel(LogLevel.Warning))
  )
