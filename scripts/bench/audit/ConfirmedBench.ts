import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { event } from "../../../test/support/BenchEvents.ts"
import { drained, openTrail } from "../../../test/support/BenchTrail.ts"
import { median, type Percentiles, pooledPercentiles } from "../../../test/support/Samples.ts"
import { fixed, line, whole } from "../../../test/support/Table.ts"
import { temporaryHome } from "../../../test/support/TemporaryHome.ts"
import { progress } from "../Progress.ts"
import { plainFile } from "./PlainWrites.ts"

const rounds = 3
const fibers = 64
const perFiber = 30
const alone = { fsync: 400, commit: 200, appendAndSync: 400 } as const

/** Nanoseconds of each run, one after the other. */
const oneByOne = <E>(effect: Effect.Effect<unknown, E>, number: number) =>
  Effect.map(
    Effect.forEach(Array.from({ length: number }), () => Effect.map(Effect.timed(effect), ([took]) => took)),
    (taken) => Float64Array.from(taken, (took) => Number(Duration.unsafeToNanos(took)))
  )

/** Many answers wait for one write: events per second, and what each waits. */
const together = <E>(effect: Effect.Effect<unknown, E>) =>
  Effect.map(
    Effect.timed(
      Effect.forEach(Array.from({ length: fibers }), () => oneByOne(effect, perFiber), { concurrency: "unbounded" })
    ),
    ([took, taken]) => ({
      samples: Float64Array.from(taken.flatMap((samples) => [...samples])),
      perSecond: (fibers * perFiber) / Duration.toSeconds(took)
    })
  )

const trailRound = (url: Redacted.Redacted, durability: "fsync" | "commit") =>
  Effect.gen(function* () {
    const trail = yield* openTrail({ url, home: yield* temporaryHome, durability })
    const record = trail.record(event)
    yield* oneByOne(record, 20)
    const round = { alone: yield* oneByOne(record, alone[durability]), together: yield* together(record) }
    yield* drained(trail)
    return round
  }).pipe(Effect.scoped)

const plainRound = Effect.gen(function* () {
  const file = yield* plainFile(yield* temporaryHome)
  return yield* oneByOne(file.appendAndSync, alone.appendAndSync)
}).pipe(Effect.scoped)

type Taken = Effect.Effect.Success<ReturnType<typeof trailRound>>

const summary = (taken: ReadonlyArray<Taken>) => ({
  alone: pooledPercentiles(taken.map((round) => round.alone)),
  together: pooledPercentiles(taken.map((round) => round.together.samples)),
  perSecond: median(taken.map((round) => round.together.perSecond))
})

/** `record` where the answer waits for the disk or for PostgreSQL. */
export const confirmedBench = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const fsync: Array<Taken> = []
    const commit: Array<Taken> = []
    const plain: Array<Float64Array> = []
    for (let round = 1; round <= rounds; round++) {
      yield* progress(`record in fsync and commit, round ${round} of ${rounds}`)
      fsync.push(yield* trailRound(url, "fsync"))
      plain.push(yield* plainRound)
      commit.push(yield* trailRound(url, "commit"))
    }
    return { fibers, fsync: summary(fsync), commit: summary(commit), appendAndSync: pooledPercentiles(plain) }
  })

export type ConfirmedReport = Effect.Effect.Success<ReturnType<typeof confirmedBench>>

const cells = ({ p50, p99, p999 }: Percentiles) => [p50, p99, p999].map(fixed(0))

export const confirmedTable = (report: ConfirmedReport): ReadonlyArray<string> => [
  line("record that waits, microseconds", ["p50", "p99", "p99.9", "events/s"]),
  line("record, fsync, one after the other", cells(report.fsync.alone)),
  line("  beside it: stringify + bare append + fdatasync", cells(report.appendAndSync)),
  line(`record, fsync, ${report.fibers} at once`, [...cells(report.fsync.together), whole(report.fsync.perSecond)]),
  line("record, commit, one after the other", cells(report.commit.alone)),
  line(`record, commit, ${report.fibers} at once`, [...cells(report.commit.together), whole(report.commit.perSecond)])
]
