import { performance } from "node:perf_hooks"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type { Durability } from "../../../src/domain/Durability.ts"
import type { Connection } from "../../../src/platform/postgres/Connection.ts"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { type Comparison, compare } from "./Conservation.ts"
import type { KillPlan } from "./KillPlan.ts"
import { type Load, load } from "./Load.ts"
import { type Server, settled, startServer } from "./Server.ts"
import { holdWriters, now, rowsSince } from "./Trail.ts"

/** Where the rounds of a run take place: one trail, one home. */
export interface Field {
  readonly mode: Durability
  readonly home: string
  readonly databaseUrl: Redacted.Redacted
  /** For questions between the rounds. */
  readonly connection: Connection
}

export interface KillRound extends Comparison {
  readonly plan: KillPlan
  /** Requests. */
  readonly sent: number
  /** Whether all that was left was written in time. */
  readonly settled: boolean
  /** Until then, in milliseconds, from the start of the process that did it, and from when that was ready. */
  readonly recovery: { readonly fromStart: number; readonly fromReady: number }
}

/** Lives until it is killed, or as long as the run. `commit` gets a deadline that a round can see pass. */
export const nextServer = (field: Field) => startServer({ ...field, environment: { AUDIT_COMMIT_DEADLINE: "500ms" } })

const firstAnswer = (asking: Load, server: Server) =>
  Effect.sync(asking.answered).pipe(
    Effect.repeat({ until: (count) => count > 0, schedule: Schedule.spaced("2 millis") }),
    Effect.timeoutFail({
      duration: "1 minute",
      onTimeout: () => new Error(`no answer; the server printed:\n${server.output()}`)
    }),
    Effect.orDie
  )

/** The server under load until it is killed as planned; what was asked of it. */
const strike = (plan: KillPlan, server: Server, holdWriting: Effect.Effect<unknown>) =>
  Effect.gen(function* () {
    const asking = yield* load({ ...plan, url: yield* server.url, name: String(plan.seed) })
    yield* firstAnswer(asking, server)
    if (plan.writableFor !== null) yield* Effect.fork(Effect.delay(holdWriting, plan.writableFor))
    yield* Effect.sleep(plan.servedFor)
    if (plan.stoppingFor !== null) {
      yield* server.signal("SIGTERM")
      yield* Effect.sleep(plan.stoppingFor)
    }
    yield* server.kill
    yield* asking.stop
    return asking.exchanges
  }).pipe(Effect.scoped)

/** A life cut short: before anybody asked, or under load, once the table can be written to again. */
const doom = (field: Field, plan: KillPlan, life: number, letWrite: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const { from, for: length } = plan.doomed[life] ?? { from: "start", for: 0 }
    const server = yield* nextServer(field)
    if (from === "start") {
      yield* Effect.sleep(length)
      yield* server.kill
      return []
    }
    const asking = yield* load({ ...plan, url: yield* server.url, name: `${plan.seed}.${life + 1}` })
    yield* letWrite
    yield* Effect.sleep(length)
    yield* server.kill
    yield* asking.stop
    return asking.exchanges
  }).pipe(Effect.scoped)

/** All that is killed in a round; what was asked meanwhile. */
const strikes = (field: Field, plan: KillPlan, server: Server) =>
  Effect.gen(function* () {
    const holder = yield* FiberHandle.make<void>()
    const holding = connect({ url: field.databaseUrl, applicationName: "gravitas chaos" }).pipe(
      Effect.flatMap(holdWriters),
      Effect.zipRight(Effect.never),
      Effect.scoped,
      Effect.orDie
    )
    const asked = [yield* strike(plan, server, FiberHandle.run(holder, holding))]
    for (const life of plan.doomed.keys()) {
      asked.push(yield* doom(field, plan, life, FiberHandle.clear(holder)))
    }
    return asked.flat()
  }).pipe(Effect.scoped)

/**
 * One round on a server that has nothing left to write: it and further ones are killed, a last one recovers, and the trail is
 * compared with what was answered. That last server is the next round's.
 */
export const round = (field: Field, plan: KillPlan, server: Server) =>
  Effect.gen(function* () {
    const beginning = yield* now(field.connection)
    const exchanges = yield* strikes(field, plan, server)
    const started = performance.now()
    const next = yield* nextServer(field)
    const url = yield* next.url
    const ready = performance.now()
    const isSettled = yield* settled(url, field.home)
    const done = performance.now()
    const result: KillRound = {
      plan,
      sent: exchanges.length,
      ...compare(exchanges, yield* rowsSince(field.connection, beginning)),
      settled: isSettled,
      recovery: { fromStart: Math.round(done - started), fromReady: Math.round(done - ready) }
    }
    return { result, next }
  })
