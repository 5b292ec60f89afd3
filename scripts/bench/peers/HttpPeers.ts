import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { median, medianPercentiles } from "../../../test/support/Samples.ts"
import { drive, type Measurement, question, rotated } from "../http/Drive.ts"
import { closedRounds, closedSummary, type Field, type RivalRun, ratioOf, roundsOf } from "../http/HttpBench.ts"
import { decisionsOf, kinds, type Rival, startServer } from "../http/Rivals.ts"
import { progress } from "../Progress.ts"
import type { Pace } from "./Pace.ts"

const connections = 16
const requestsPerSecond = 1_000

const rivals = [
  "node",
  "router",
  "insert",
  "pino",
  "pinoSync",
  "off",
  "memory",
  "journal",
  "fsync",
  "commit"
] as const satisfies ReadonlyArray<Rival>

/** A fixed rate to each in turns: the latency that a caller sees, whose requests do not wait for each other. */
const openRounds = ({ load, running, token }: Field, { openMillis: millis, rounds }: Pace) =>
  Effect.gen(function* () {
    const taken = new Map(running.map(({ rival }): [Rival, Array<Measurement>] => [rival, []]))
    for (let round = 1; round <= rounds; round++) {
      yield* progress(`${requestsPerSecond} requests a second, round ${round} of ${rounds}`)
      for (const one of rotated(running, round)) {
        const order = question(one.server, token, { connections, millis, requestsPerSecond })
        const driven = yield* drive(load, one.server, order)
        one.answered += driven.requests
        taken.get(one.rival)?.push(driven)
      }
    }
    return taken
  })

const openSummary = (rounds: ReadonlyArray<Measurement>) => ({
  perSecond: median(rounds.map(({ perSecond }) => perSecond)),
  microseconds: medianPercentiles(rounds.map(({ latency }) => latency)),
  /** What of it may be the generator's own timer. */
  lateness: medianPercentiles(rounds.map(({ lateness }) => lateness)),
  generatorIdleShare: median(rounds.map(({ idleShare }) => idleShare))
})

const pause = "500 millis"

/** A trail writes some milliseconds behind its answers, and brings back what a dead process left; the others change nothing later. */
const patience = (rival: Rival): number => (kinds[rival].keeps === "trail" ? 10 : 1)

/** Counts the answered decisions that are missing, again as long as that helps. */
const missing = (rival: Rival, count: Effect.Effect<number>) =>
  Effect.gen(function* () {
    let last = yield* count
    for (let unchanged = 0; last > 0 && unchanged < patience(rival); ) {
      yield* Effect.sleep(pause)
      const now = yield* count
      unchanged = now === last ? unchanged + 1 : 0
      last = now
    }
    return last
  })

/** Decisions that a rival keeps after the rounds; null for one that keeps none. */
const keptBy = ({ answered, rival, server }: RivalRun) => {
  if (kinds[rival].keeps === null) return Effect.succeed(null)
  const count = Effect.map(decisionsOf(server.place, rival), (ids) => answered - (ids?.size ?? 0))
  return Effect.map(missing(rival, count), (lacking) => answered - lacking)
}

const lostOf = (answered: ReadonlyArray<string>, { rival, server }: RivalRun) =>
  missing(
    rival,
    Effect.map(decisionsOf(server.place, rival), (kept) => answered.filter((id) => kept?.has(id) !== true).length)
  )

/** SIGKILL under load: how many decisions that were answered are not kept once the next process has recovered what it can. */
const killed = ({ load, token }: Field, one: RivalRun, { killMillis }: Pace) =>
  Effect.gen(function* () {
    yield* progress(`SIGKILL under load: ${kinds[one.rival].title}`)
    const order = question(one.server, token, { connections, millis: 30_000, isKilled: true })
    const [driven] = yield* Effect.all(
      [load.drive(order), Effect.zipRight(Effect.sleep(killMillis), one.server.process.kill)],
      { concurrency: 2 }
    )
    if (kinds[one.rival].keeps === "trail") yield* startServer(one.server.place, one.rival)
    return { answered: driven.auditIds.length, lost: yield* lostOf(driven.auditIds, one) }
  }).pipe(Effect.scoped)

const processorTime = (taken: Measurement): number => taken.processorTimePerRequest

/** Microseconds that the trail adds to a request, the writing of its event included; the median of the rounds. */
const addedByTrail = (field: Field): number => {
  const without = roundsOf(field, "off").map(processorTime)
  return median(roundsOf(field, "journal").map((taken, round) => processorTime(taken) - (without[round] ?? Number.NaN)))
}

/** Every rival under the same load: all that it answers, at a fixed rate, and killed. */
export const httpPeers = (server: Redacted.Redacted, pace: Pace) =>
  Effect.gen(function* () {
    const { millis, rounds, warmUpMillis } = pace
    const field = yield* closedRounds({ rivals, connections, rounds, millis, warmUpMillis }, server)
    const open = yield* openRounds(field, pace)
    const kept = new Map<Rival, number | null>()
    for (const one of field.running) kept.set(one.rival, yield* keptBy(one))
    const losses = new Map<Rival, { readonly answered: number; readonly lost: number }>()
    for (const one of field.running) {
      if (kinds[one.rival].keeps !== null) losses.set(one.rival, yield* killed(field, one, pace))
    }
    return {
      connections,
      requestsPerSecond,
      rivals: field.running.map(({ answered, rival, rounds }) => ({
        rival,
        title: kinds[rival].title,
        closed: closedSummary(rounds),
        open: openSummary(open.get(rival) ?? []),
        answered,
        /** Null where it keeps none. */
        kept: kept.get(rival) ?? null,
        killed: losses.get(rival) ?? null
      })),
      ratios: {
        nodeToJournal: ratioOf(field, "node", "journal", processorTime),
        routerToJournal: ratioOf(field, "router", "journal", processorTime),
        insertToJournal: ratioOf(field, "insert", "journal", processorTime),
        journalToRouterP99: ratioOf(field, "journal", "router", ({ latency }) => latency.p99)
      },
      addedByTrail: addedByTrail(field),
      /** Milliseconds of p99 at the fixed rate, with the journal and without a trail. */
      openP99Added:
        median(
          (open.get("journal") ?? []).map(
            ({ latency }, round) => latency.p99 - (open.get("off")?.[round]?.latency.p99 ?? Number.NaN)
          )
        ) / 1_000
    }
  }).pipe(Effect.scoped)

export type HttpPeersReport = Effect.Effect.Success<ReturnType<typeof httpPeers>>
