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
import { files, revisions, timed, withEffectSql, withGravitas, withNodePgMigrate } from "./migrate/Rivals.ts"
import { median } from "./Samples.ts"

const starts = 30
const rounds = 5
const commands = 7

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

const measure = Effect.gen(function* () {
  const server = yield* benchServer
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

  const { ours, theirs } = yield* files
  const peers = {
    gravitas: (fresh: Redacted.Redacted) => withGravitas(fresh, ours),
    "@effect/sql-pg": withEffectSql,
    "node-pg-migrate": (fresh: Redacted.Redacted) => withNodePgMigrate(fresh, theirs, true),
    "node-pg-migrate, a transaction each": (fresh: Redacted.Redacted) => withNodePgMigrate(fresh, theirs, false)
  }
  const taken = new Map(Object.keys(peers).map((peer) => [peer, [] as number[]]))
  for (let round = -1; round < rounds; round++) {
    for (const [peer, run] of Object.entries(peers)) {
      const took = yield* Effect.scoped(Effect.flatMap(databaseOn(server), run))
      if (round >= 0) taken.get(peer)?.push(took)
    }
  }
  const perRevision = Object.fromEntries([...taken].map(([peer, all]) => [peer, median(all) / revisions]))
  /** Medians of the rounds' own ratios: both sides of each ran one after the other. */
  const ratios = Object.fromEntries(
    [...taken]
      .filter(([peer]) => peer !== "gravitas")
      .map(([peer, all]) => [
        peer,
        median(all.map((theirs, round) => (taken.get("gravitas")?.[round] ?? Number.NaN) / theirs))
      ])
  )

  const walls: Array<number> = []
  for (let index = -1; index < commands; index++) {
    const took = yield* command(url)
    if (index >= 0) walls.push(took)
  }
  return {
    milliseconds: {
      startAtHeadOfThree: summary(three),
      startAtHeadOfOne: summary(one),
      openingTwoSessions: median(sessions),
      perRevision,
      migrateStatus: median(walls),
      migrateStatusFastest: Math.min(...walls)
    },
    ratios
  }
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
    line(`milliseconds per revision, of ${revisions}`, "median", "ours/theirs"),
    ...Object.entries(milliseconds.perRevision).map(([peer, took]) =>
      line(peer, took.toFixed(2), ratios[peer]?.toFixed(2) ?? "")
    ),
    "",
    "@effect/sql-pg, and node-pg-migrate by default, commit once for all revisions; gravitas commits each with its history."
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
