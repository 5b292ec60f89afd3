import * as Fs from "node:fs"
import { join } from "node:path"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type * as Redacted from "effect/Redacted"
import { benchServer, databaseOn } from "../../test/support/BenchDatabase.ts"
import { gatekeeperUp } from "../../test/support/GatekeeperSchema.ts"
import { project } from "../../test/support/Program.ts"
import { aimRows } from "../docs/performance/PerformancePage.ts"
import { type PerformanceReport, reportText } from "../docs/performance/PerformanceReport.ts"
import { drainBench } from "./audit/DrainBench.ts"
import { recordBench } from "./audit/RecordBench.ts"
import { recoveryBench } from "./audit/RecoveryBench.ts"
import { chatBench } from "./chat/ChatBench.ts"
import { generatorName } from "./http/HttpLoad.ts"
import { checkout, machine, versions } from "./Machine.ts"
import { startBench } from "./Migrate.ts"
import { revisions } from "./migrate/Rivals.ts"
import { measurePeers, peersTable } from "./Peers.ts"
import { progress } from "./Progress.ts"
import { briefPace, fullPace, type Pace } from "./peers/Pace.ts"

const onNewDatabase = <A, E, R>(server: Redacted.Redacted, part: (url: Redacted.Redacted) => Effect.Effect<A, E, R>) =>
  databaseOn(server).pipe(Effect.tap(gatekeeperUp), Effect.flatMap(part), Effect.scoped)

const measure = (server: Redacted.Redacted, pace: Pace) =>
  Effect.gen(function* () {
    return {
      chat: yield* chatBench(server, pace),
      start: yield* startBench(server, pace.starts, pace.commands),
      record: yield* onNewDatabase(server, (url) => recordBench(url, pace.rounds)),
      drain: yield* onNewDatabase(server, (url) => drainBench(url, pace.rounds)),
      recovery: yield* onNewDatabase(server, (url) => recoveryBench(url, pace.recovered)),
      peers: yield* measurePeers(server, pace)
    }
  })

type Measured = Effect.Effect.Success<ReturnType<typeof measure>>

const ratiosOf = ({ chat, drain, peers, record, recovery, start }: Measured): PerformanceReport["ratios"] => ({
  ...peers.http.ratios,
  trailToRecord: peers.http.addedByTrail / (record.microseconds.journal.p50 + 1_000_000 / drain.rowsPerSecond.drain),
  openP99Added: peers.http.openP99Added,
  drainToCopy: drain.ratios.drainToCopy,
  recoveryToCopy: recovery.ratios.recoveryToCopy,
  revisionToNodePgMigrate: peers.migrations.ratios["node-pg-migrate, a transaction each"],
  startAtHead: start.startAtHeadOfThree.wall,
  chat: chat.processorTimePerRequest / 1_000
})

const sectionsOf = ({ chat, drain, peers, record, recovery }: Measured, { rounds }: Pace) => ({
  http: {
    generator: generatorName,
    rounds,
    connections: peers.http.connections,
    requestsPerSecond: peers.http.requestsPerSecond,
    peers: peers.http.rivals
  },
  journaling: peers.journaling,
  migrations: {
    revisions,
    peers: Object.entries(peers.migrations.perRevision).map(([title, milliseconds]) => ({
      title,
      milliseconds,
      ratio: new Map<string, number>(Object.entries(peers.migrations.ratios)).get(title) ?? null
    }))
  },
  trail: {
    recordMicroseconds: record.microseconds.journal,
    rowsPerSecond: {
      drain: drain.rowsPerSecond.drain,
      copy: drain.rowsPerSecond.copy,
      recovery: recovery.rowsPerSecond.recovery,
      copyBesideRecovery: recovery.rowsPerSecond.copy
    },
    recoveredEvents: recovery.events,
    missingAfterRecovery: recovery.missing,
    addedToRequest: peers.http.addedByTrail
  },
  chat: { connections: chat.connections, perSecond: chat.perSecond, processorTime: chat.processorTimePerRequest }
})

const run = (server: Redacted.Redacted, isBrief: boolean) =>
  Effect.gen(function* () {
    const pace = isBrief ? briefPace : fullPace
    const before = yield* checkout
    const began = Date.now()
    const measured = yield* measure(server, pace)
    const ended = Date.now()
    const report: PerformanceReport = {
      date: new Date(ended).toISOString(),
      minutes: Math.round((ended - began) / 6_000) / 10,
      ...before,
      isBrief,
      machine: yield* machine(server),
      versions: yield* versions,
      ratios: ratiosOf(measured),
      ...sectionsOf(measured, pace)
    }
    return { measured, report }
  })

const aimLines = (report: PerformanceReport): string =>
  aimRows(report)
    .map(
      ([what = "", , aim = "", here = "", verdict = ""]) =>
        `${here.padStart(12)}  ${aim.padEnd(10)} ${verdict}  ${what}`
    )
    .join("\n")

export interface AllBenchOptions {
  readonly json: boolean
  readonly brief: boolean
  /** The file of the report; relative to the directory in which the command runs. */
  readonly out: string | undefined
}

/** `pnpm bench all`: every aim in one run. With `--json` it writes the file of which docs/performance.md is made. */
export const allBench = ({ brief, json, out }: AllBenchOptions): void =>
  Effect.flatMap(benchServer, (server) => run(server, brief)).pipe(
    Effect.scoped,
    Logger.withMinimumLogLevel(LogLevel.Error),
    Effect.tap(({ measured, report }) =>
      Effect.sync(() => console.log(`${peersTable(measured.peers)}\n\n${aimLines(report)}`))
    ),
    Effect.tap(({ report }) => {
      if (!json) return Effect.void
      const path = out ?? join(project, "docs/performance.json")
      return Effect.zipRight(
        Effect.sync(() => Fs.writeFileSync(path, reportText(report))),
        progress(`wrote ${path}; pnpm write:docs makes docs/performance.md of docs/performance.json`)
      )
    }),
    NodeRuntime.runMain
  )
