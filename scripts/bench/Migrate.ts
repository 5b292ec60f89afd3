import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import { type ServiceName, serviceNames } from "../../src/domain/Service.ts"
import { gatekeeperSchema } from "../../src/gatekeeper/GatekeeperSchema.ts"
import { guardianSchema } from "../../src/guardian/GuardianSchema.ts"
import { migrate } from "../../src/migrator/apply/Migrate.ts"
import { Target } from "../../src/migrator/plan/Target.ts"
import { routerSchema } from "../../src/router/RouterSchema.ts"
import { benchServer, databaseOn } from "../../test/support/BenchDatabase.ts"
import { environment } from "../../test/support/migrator/Fixture.ts"
import { median } from "../../test/support/Samples.ts"
import { revisionBench, revisionTable } from "./migrate/RevisionBench.ts"
import { timed } from "./migrate/Rivals.ts"
import { progress } from "./Progress.ts"

const rounds = 5

/** What `pnpm migrate` starts. */
const program = fileURLToPath(new URL("../build/run.mjs", import.meta.url))

const layers = {
  gatekeeper: Layer.discard(gatekeeperSchema.layer),
  guardian: Layer.discard(guardianSchema.layer),
  router: Layer.discard(routerSchema.layer)
}

/** Of one start. The processor's time is this process's own, and says more on a machine that is busy with other things. */
interface Taken {
  readonly wall: number
  readonly cpu: number
}

const summary = (taken: ReadonlyArray<Taken>) => ({
  wall: median(taken.map(({ wall }) => wall)),
  fastestWall: Math.min(...taken.map(({ wall }) => wall)),
  cpu: median(taken.map(({ cpu }) => cpu)),
  leastCpu: Math.min(...taken.map(({ cpu }) => cpu))
})

/** The schemas at head, the pool made but not used: what a start does until the first port may open. */
const startAtHead = (url: Redacted.Redacted, services: ReadonlyArray<ServiceName>) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(environment({ url, services }))
    // At the same time, as the program builds them (`preparationsOf`).
    const all = services.map((service) => layers[service]).reduce((before, next) => Layer.merge(next, before))
    const before = process.cpuUsage()
    const wall = yield* timed(Layer.build(all).pipe(Effect.provide(context)))
    const { system, user } = process.cpuUsage(before)
    return { wall, cpu: (user + system) / 1_000 }
  }).pipe(Effect.scoped)

/** What of it is the opening of two sessions, one for the look and one of the application's pool. */
const twoSessions = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(PgClient.layer({ url }))
    const sql = Context.get(context, PgClient.PgClient)
    return yield* timed(Effect.all([sql`select pg_sleep(0)`, sql`select pg_sleep(0)`], { concurrency: 2 }))
  }).pipe(Effect.scoped)

const command = (url: Redacted.Redacted) =>
  timed(
    Effect.async<void>((resume) => {
      const child = spawn(process.execPath, [program, "migrate", "status"], {
        stdio: "ignore",
        env: { PATH: process.env["PATH"], DATABASE_URL: Redacted.value(url) }
      })
      child.once("exit", (code) =>
        resume(code === 0 ? Effect.void : Effect.dieMessage(`migrate status ended with ${code}`))
      )
    })
  )

/** What a start and a command at head cost. */
export const startBench = (server: Redacted.Redacted, starts = 30, commands = 7) =>
  Effect.gen(function* () {
    yield* progress("starts at head")
    const url = yield* databaseOn(server)
    const head = Effect.forEach([gatekeeperSchema, guardianSchema, routerSchema], ({ service }) =>
      migrate(service, Target.Head())
    ).pipe(Effect.provide(environment({ url })))
    yield* head
    const three: Array<Taken> = []
    const one: Array<Taken> = []
    const sessions: Array<number> = []
    for (let index = -5; index < starts; index++) {
      const taken = {
        three: yield* startAtHead(url, serviceNames),
        one: yield* startAtHead(url, ["router"]),
        sessions: yield* twoSessions(url)
      }
      // The first ones warm up.
      if (index < 0) continue
      three.push(taken.three)
      one.push(taken.one)
      sessions.push(taken.sessions)
    }

    const walls: Array<number> = []
    for (let index = -1; index < commands; index++) {
      const took = yield* command(url)
      if (index >= 0) walls.push(took)
    }
    return {
      startAtHeadOfThree: summary(three),
      startAtHeadOfOne: summary(one),
      openingTwoSessions: median(sessions),
      migrateStatus: median(walls),
      migrateStatusFastest: Math.min(...walls)
    }
  }).pipe(Effect.scoped)

export type StartReport = Effect.Effect.Success<ReturnType<typeof startBench>>

const measure = Effect.gen(function* () {
  const server = yield* benchServer
  const started = yield* startBench(server)
  const { perRevision, ratios } = yield* revisionBench(server, rounds)
  return { milliseconds: { ...started, perRevision }, ratios }
})

type Report = Effect.Effect.Success<typeof measure>

const cells = ({ cpu, fastestWall, leastCpu, wall }: ReturnType<typeof summary>) =>
  [wall, fastestWall, cpu, leastCpu].map((value) => value.toFixed(1))

const table = ({ milliseconds, ratios }: Report): string => {
  const line = (title: string, ...cells: ReadonlyArray<string>) =>
    title.padEnd(44) + cells.map((cell) => cell.padStart(12)).join("")
  return [
    line("milliseconds", "median", "fastest", "cpu", "least cpu"),
    line("start at head, three services", ...cells(milliseconds.startAtHeadOfThree)),
    line("start at head, one service", ...cells(milliseconds.startAtHeadOfOne)),
    line("  beside it: opening two sessions at once", milliseconds.openingTwoSessions.toFixed(1)),
    line(
      "pnpm migrate status, without pnpm",
      milliseconds.migrateStatus.toFixed(0),
      milliseconds.migrateStatusFastest.toFixed(0)
    ),
    "",
    ...revisionTable({ perRevision: milliseconds.perRevision, ratios })
  ].join("\n")
}

/** `pnpm bench migrate`: what a start at head costs, and applying revisions beside the peers. */
export const migrateBench = (options: { readonly json: boolean }): void =>
  measure.pipe(
    Effect.scoped,
    Logger.withMinimumLogLevel(LogLevel.None),
    Effect.map((report) => console.log(options.json ? JSON.stringify(report, null, 2) : table(report))),
    NodeRuntime.runMain
  )
