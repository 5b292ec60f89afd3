import * as Crypto from "node:crypto"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { rowOf } from "../../../src/audit/encoding/CanonicalRow.ts"
import * as Journal from "../../../src/audit/journal/Journal.ts"
import { makeDiskQuota } from "../../../src/audit/journal/Segments.ts"
import { event } from "../../../test/support/BenchEvents.ts"
import { drained, openTrail } from "../../../test/support/BenchTrail.ts"
import { median, type Percentiles, percentiles } from "../../../test/support/Samples.ts"
import { fixed, line } from "../../../test/support/Table.ts"
import { temporaryHome } from "../../../test/support/TemporaryHome.ts"
import { progress } from "../Progress.ts"
import { type Subject, timeAll, timeEach } from "./Calls.ts"
import { eventBytes, plainFile, stringify } from "./PlainWrites.ts"
import { recordSteps, steps } from "./RecordSteps.ts"

const rounds = 60
const perRound = 500

/** A journal without a trail around it. */
const appending = (home: string) =>
  Effect.gen(function* () {
    const journal = yield* Journal.open({
      directory: Path.join(home, "journal"),
      identity: {
        trail: Crypto.randomUUID(),
        source: Crypto.randomUUID(),
        bootId: "bench",
        startedAt: Date.now(),
        host: "bench",
        pid: process.pid,
        durability: "journal"
      },
      quota: makeDiskQuota(4 * 2 ** 30),
      flushInterval: "1 second"
    })
    const json = stringify()
    let seq = 0
    return {
      append: () => {
        seq += 1
        if (journal.append(seq, json) !== undefined) throw new Error("the journal refused an event")
      },
      settle: Effect.sync(() => journal.settle(Array.from({ length: perRound }, (_, index) => ({ seq: seq - index }))))
    }
  })

interface Subjects {
  readonly steps: ReadonlyArray<Named>
  /** The first is `record` itself. */
  readonly wholes: ReadonlyArray<Named>
  readonly between: Effect.Effect<unknown>
}

type Named = readonly [name: string, subject: Subject]

const prepare = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const home = yield* temporaryHome
    const { clear, upTo } = yield* recordSteps(home)
    const { append, settle } = yield* appending(home)
    const plain = yield* plainFile(home)
    const trail = yield* openTrail({ url, home: yield* temporaryHome, durability: "journal" })
    const json = stringify()
    const subjects: Subjects = {
      steps: steps.map((name, index) => [name, upTo(index + 1)]),
      wholes: [
        ["record, journal, of a fiber", trail.record(event)],
        ["beside it: stringify + bare append", plain.append],
        ["beside it: JSON.stringify", stringify],
        ["the journal's append alone, text given", append],
        ["a row out of its text, when it is read back", () => rowOf(json)]
      ],
      between: Effect.all([clear, settle, drained(trail)])
    }
    return subjects
  })

/** Microseconds. */
interface Figures extends Percentiles {
  readonly name: string
  /** Of a call in a loop, without the clock around it: the median of the rounds. */
  readonly mean: number
}

const starting = ([name, subject]: Named) => ({
  name,
  subject,
  means: [] as number[],
  samples: new Float64Array(rounds * perRound)
})
type Taken = ReturnType<typeof starting>

const oneRound = ({ means, samples, subject }: Taken, round: number, between: Effect.Effect<unknown>) =>
  Effect.gen(function* () {
    const mean = yield* timeAll(subject, perRound)
    yield* between
    yield* timeEach(subject, samples, round * perRound, (round + 1) * perRound)
    yield* between
    if (round >= 0) means.push(mean)
  })

const figures = ({ means, name, samples }: Taken): Figures => ({
  name,
  mean: median(means) / 1_000,
  ...percentiles(samples)
})

/** Where the time of `record` goes: by hand, step after step, and as a whole. */
export const profileBench = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const subjects = yield* prepare(url)
    const taken = { steps: subjects.steps.map(starting), wholes: subjects.wholes.map(starting) }
    // Two rounds compile the code.
    for (let round = -2; round < rounds; round++) {
      if (round % 20 === 0) yield* progress(`profile, round ${round} of ${rounds}`)
      for (const one of [...taken.steps, ...taken.wholes]) yield* oneRound(one, round, subjects.between)
    }
    return { eventBytes, microseconds: { upToStep: taken.steps.map(figures), wholes: taken.wholes.map(figures) } }
  }).pipe(Effect.scoped)

export type ProfileReport = Effect.Effect.Success<ReturnType<typeof profileBench>>

export const profileTable = ({ eventBytes, microseconds }: ProfileReport): ReadonlyArray<string> => {
  const { upToStep, wholes } = microseconds
  const record = wholes[0]?.mean ?? Number.NaN
  const added = (mean: number, before: number) => {
    const share = `${fixed(0)((100 * (mean - before)) / record)} %`
    return [fixed(2)(mean - before), share, fixed(2)(mean)]
  }
  const tail = ({ p50, p99, p999 }: Figures) => [p50, p99, p999].map(fixed(2))
  return [
    line(`one event of ${eventBytes} bytes, microseconds`, ["adds", "share", "so far", "p50", "p99", "p99.9"]),
    ...upToStep.map((step, index) =>
      line(step.name, [...added(step.mean, upToStep[index - 1]?.mean ?? 0), ...tail(step)])
    ),
    line("the rest: the fiber, bookkeeping, what is kept", added(record, upToStep.at(-1)?.mean ?? 0)),
    "",
    line("as a whole", ["", "", "mean", "p50", "p99", "p99.9"]),
    ...wholes.map((one) => line(one.name, ["", "", fixed(2)(one.mean), ...tail(one)]))
  ]
}
