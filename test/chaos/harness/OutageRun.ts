import { readFileSync } from "node:fs"
import { performance } from "node:perf_hooks"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Hash from "effect/Hash"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { PCGRandom } from "effect/Utils"
import type { Durability } from "../../../src/domain/Durability.ts"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { tcpProxy } from "../../support/TcpProxy.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"
import { testPostgres } from "../../support/TestPostgres.ts"
import { type Comparison, compare } from "./Conservation.ts"
import { dropPartition, type FaultName, faults } from "./Faults.ts"
import { type Load, load } from "./Load.ts"
import { as, makeRoles, roles } from "./Roles.ts"
import { healthOf, journalsIn, quarantinedIn, type Server, settled, startServer } from "./Server.ts"
import { rowsSince, type TrailReport, trailReport } from "./Trail.ts"
import { type Window, windowOf } from "./Window.ts"

export interface OutageOptions {
  readonly mode: Durability
  readonly faults: ReadonlyArray<FaultName>
  readonly seed: number
  /** Requests a second. */
  readonly rate: number
  /** How long the load is watched around each fault, in milliseconds. */
  readonly watch: { readonly before: number; readonly during: number; readonly after: number }
  readonly onFault?: (report: FaultReport) => void
}

export interface FaultReport {
  readonly fault: FaultName
  /** Undefined of the fault that comes before all load. */
  readonly before: Window | undefined
  readonly during: Window
  readonly after: Window
  /** Events that waited at most. */
  readonly deepest: number
  /** Megabytes, at most. */
  readonly rss: number
  /** From the end of the fault until no more waited than usual, in milliseconds. */
  readonly recovery: number
  readonly settled: boolean
}

export interface OutageRun extends Comparison {
  readonly mode: Durability
  readonly faults: ReadonlyArray<FaultReport>
  readonly sent: number
  readonly trail: TrailReport
  readonly quarantined: number
  /** Of the gatekeeper, which is told to stop at the end; null when it did not end by itself. */
  readonly exitCode: number | null
  /** The end of what it printed, where that was not an orderly end. */
  readonly lastWords: string
}

const wordsShown = 3_000

/** Fisher and Yates. */
const shuffled = <A>(values: ReadonlyArray<A>, random: PCGRandom): ReadonlyArray<A> => {
  const left = [...values]
  return values.flatMap(() => left.splice(random.integer(left.length), 1))
}

/** Resident memory of a process in megabytes, where the system tells. */
const rssOf = (pid: number): number => {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1_024
  } catch {
    return 0
  }
}

/** The most of what waited and what memory it took, seen while `body` ran. */
const watching = <A, E, R>(server: Server, url: string, body: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const most = { deepest: 0, rss: 0 }
    const look = Effect.map(healthOf(url), (audit) => {
      most.deepest = Math.max(most.deepest, audit?.depth ?? 0)
      most.rss = Math.max(most.rss, Math.round(rssOf(server.pid)))
    })
    const watcher = yield* Effect.fork(Effect.repeat(look, Schedule.spaced("200 millis")))
    const value = yield* body
    yield* Fiber.interrupt(watcher)
    return { value, ...most }
  })

const moment = Effect.sync(() => performance.now())

/** When a fault's parts began and ended, and what was seen meanwhile: all of its report but the answers. */
interface Seen extends Omit<FaultReport, "before" | "during" | "after"> {
  readonly start: number
  readonly struck: number
  readonly ended: number
  readonly done: number
}

/** What is known by now: at first, a few requests of the last moments may wait for their answers yet. */
const reportOf = ({ done, ended, start, struck, ...rest }: Seen, { exchanges }: Load): FaultReport => ({
  ...rest,
  before: start === struck ? undefined : windowOf(exchanges, start, struck),
  during: windowOf(exchanges, struck, ended),
  after: windowOf(exchanges, ended, done)
})

interface Theatre {
  readonly server: Server
  readonly url: string
  readonly home: string
  /** Events that wait when all is well, since the load goes on. */
  readonly usual: number
}

/** A fault under load that goes on before, meanwhile and afterwards. */
const endure = (
  { home, server, url, usual }: Theatre,
  fault: FaultName,
  inflict: Effect.Effect<unknown, never, Scope.Scope>,
  watch: OutageOptions["watch"]
) =>
  Effect.gen(function* () {
    const start = yield* moment
    if (watch.before > 0) yield* Effect.sleep(watch.before)
    const struck = watch.before > 0 ? yield* moment : start
    const { deepest, rss } = yield* watching(
      server,
      url,
      inflict.pipe(Effect.zipRight(Effect.sleep(watch.during)), Effect.scoped)
    )
    const ended = yield* moment
    const isSettled = yield* settled(url, home, usual)
    const recovery = Math.round((yield* moment) - ended)
    yield* Effect.sleep(watch.after)
    const seen: Seen = {
      fault,
      start,
      struck,
      ended,
      done: yield* moment,
      deepest,
      rss,
      recovery,
      settled: isSettled
    }
    return seen
  })

/** All faults, one after the other, in an order that follows from the seed, on a PostgreSQL of their own. */
export const outage = (options: OutageOptions) =>
  Effect.gen(function* () {
    const { mode, seed, watch } = options
    const random = new PCGRandom(Hash.string(`outage ${seed}`))
    const home = yield* temporaryHome
    const postgres = yield* testPostgres({ settings: { max_connections: "24" } })
    yield* makeRoles(postgres.url)
    const proxy = yield* tcpProxy(postgres.url)
    const start = startServer({
      mode,
      home,
      databaseUrl: as(proxy.url, roles.application),
      environment: {
        MIGRATION_DATABASE_URL: Redacted.value(as(postgres.url, roles.owner)),
        AUDIT_COMMIT_DEADLINE: "500ms"
      }
    })
    const server = yield* start
    const url = yield* server.url
    const missesPartition = options.faults.includes("partition")
    if (missesPartition) yield* dropPartition(postgres.url, 0)
    const asking = yield* load({ url, name: String(seed), rate: options.rate, connections: 512 })

    const seen: Array<Seen> = []
    const theatre: Theatre = { server, url, home, usual: Math.ceil(options.rate / 4) }
    const suffer = (fault: FaultName, inflict: Effect.Effect<unknown, never, Scope.Scope>, before: number) =>
      Effect.map(endure(theatre, fault, inflict, { ...watch, before }), (one) => {
        seen.push(one)
        options.onFault?.(reportOf(one, asking))
      })
    if (missesPartition) yield* suffer("partition", Effect.void, 0)
    for (const name of shuffled(options.faults, random)) {
      if (name !== "partition") yield* suffer(name, faults[name]({ postgres, proxy, random }), watch.before)
    }

    yield* asking.stop
    yield* settled(url, home)
    yield* server.signal("SIGTERM")
    const { code } = yield* server.ended
    // What it had no time to write is for the next one: only then is everything in the table that ever will be.
    if ((yield* journalsIn(home)) > 0) {
      const next = yield* start
      yield* settled(yield* next.url, home)
    }
    const connection = yield* connect({ url: postgres.url, applicationName: "gravitas chaos" })
    const run: OutageRun = {
      mode,
      faults: seen.map((one) => reportOf(one, asking)),
      sent: asking.exchanges.length,
      ...compare(asking.exchanges, yield* rowsSince(connection, "1970-01-01")),
      trail: yield* trailReport(connection),
      quarantined: yield* quarantinedIn(home),
      exitCode: code,
      lastWords: code === 0 ? "" : server.output().slice(-wordsShown)
    }
    return run
  }).pipe(Effect.scoped)
