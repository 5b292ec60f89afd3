import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Redacted from "effect/Redacted"
import { event, worstEvent } from "../../../test/support/BenchEvents.ts"
import { drained, openTrail } from "../../../test/support/BenchTrail.ts"
import { median, medianPercentiles, type Percentiles, percentiles } from "../../../test/support/Samples.ts"
import { fixed, line } from "../../../test/support/Table.ts"
import { temporaryHome } from "../../../test/support/TemporaryHome.ts"
import { progress } from "../Progress.ts"
import { paced } from "./Calls.ts"
import { eventBytes, plainFile, stringify } from "./PlainWrites.ts"

const perRound = 30_000
const worstPerRound = 2_000

const place = (url: Redacted.Redacted) => Effect.map(temporaryHome, (home) => ({ url, home }))

const reference = (home: string) =>
  Effect.gen(function* () {
    const file = yield* plainFile(home)
    const queue = yield* Queue.unbounded<typeof event>()
    return {
      append: file.append,
      offer: () => Queue.unsafeOffer(queue, event),
      clear: Queue.takeAll(queue)
    }
  })

const memoryRound = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const trail = yield* openTrail({ ...(yield* place(url)), durability: "memory" })
    const taken = yield* paced({ memory: trail.record(event) }, perRound)
    yield* drained(trail)
    return taken
  }).pipe(Effect.scoped)

/** The plain append meets the same drain, the same garbage and the same neighbours. */
const journalRound = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const where = yield* place(url)
    const plain = yield* reference(where.home)
    const trail = yield* openTrail({ ...where, durability: "journal" })
    const taken = yield* paced(
      { journal: trail.record(event), append: plain.append, offer: plain.offer },
      perRound,
      plain.clear
    )
    yield* drained(trail)
    return taken
  }).pipe(Effect.scoped)

/** Nothing else goes on in the process. */
const quietRound = Effect.gen(function* () {
  const plain = yield* reference(yield* temporaryHome)
  return yield* paced(
    { quietAppend: plain.append, quietOffer: plain.offer, stringify, clock: () => {} },
    perRound,
    plain.clear
  )
}).pipe(Effect.scoped)

const worstRound = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const trail = yield* openTrail({ ...(yield* place(url)), durability: "journal" })
    const taken = yield* paced({ worst: trail.record(worstEvent) }, worstPerRound)
    yield* drained(trail)
    return taken
  }).pipe(Effect.scoped)

const round = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const memory = yield* memoryRound(url)
    const journal = yield* journalRound(url)
    const quiet = yield* quietRound
    const all = { ...memory, ...journal, ...quiet }
    const of = (name: keyof typeof all): Percentiles => percentiles(all[name])
    return {
      memory: of("memory"),
      journal: of("journal"),
      append: of("append"),
      offer: of("offer"),
      quietAppend: of("quietAppend"),
      quietOffer: of("quietOffer"),
      stringify: of("stringify"),
      clock: of("clock")
    }
  })

type Round = Effect.Effect.Success<ReturnType<typeof round>>

/** `record` where no answer waits, and what it is made of or might be. */
export const recordBench = (url: Redacted.Redacted, rounds = 5) =>
  Effect.gen(function* () {
    const taken: Array<Round> = []
    for (let number = 1; number <= rounds; number++) {
      yield* progress(`record in memory and journal, round ${number} of ${rounds}`)
      taken.push(yield* round(url))
    }
    const of = (name: keyof Round): Percentiles => medianPercentiles(taken.map((round) => round[name]))
    const ratio = (name: "append" | "quietAppend", share: keyof Percentiles): number =>
      median(taken.map((round) => round.journal[share] / round[name][share]))
    // Last: it leaves much behind for the server's checkpoint.
    const worst = percentiles((yield* worstRound(url)).worst)
    return {
      eventBytes,
      microseconds: {
        memory: of("memory"),
        journal: of("journal"),
        journalWorstEvent: worst,
        append: of("append"),
        offer: of("offer"),
        appendQuiet: of("quietAppend"),
        offerQuiet: of("quietOffer"),
        stringifyQuiet: of("stringify"),
        clock: of("clock")
      },
      ratios: {
        journalToAppend: { p50: ratio("append", "p50"), p99: ratio("append", "p99"), p999: ratio("append", "p999") },
        journalToQuietAppend: {
          p50: ratio("quietAppend", "p50"),
          p99: ratio("quietAppend", "p99"),
          p999: ratio("quietAppend", "p999")
        }
      }
    }
  })

export type RecordReport = Effect.Effect.Success<ReturnType<typeof recordBench>>

const cells = ({ p50, p99, p999 }: Percentiles) => [p50, p99, p999].map(fixed(2))

export const recordTable = ({ eventBytes, microseconds, ratios }: RecordReport): ReadonlyArray<string> => [
  line("record, microseconds", ["p50", "p99", "p99.9"]),
  line("record, memory, draining to PostgreSQL", cells(microseconds.memory)),
  line("record, journal, draining to PostgreSQL", cells(microseconds.journal)),
  line(`  beside it: stringify + bare append (${eventBytes} bytes)`, cells(microseconds.append)),
  line("  beside it: Queue.unsafeOffer", cells(microseconds.offer)),
  line("stringify + bare append, nothing else going on", cells(microseconds.appendQuiet)),
  line("Queue.unsafeOffer, nothing else going on", cells(microseconds.offerQuiet)),
  line("JSON.stringify, nothing else going on", cells(microseconds.stringifyQuiet)),
  line("an empty sample (the clock itself)", cells(microseconds.clock)),
  line("record of the worst event, journal", cells(microseconds.journalWorstEvent)),
  line("journal / append beside it", cells(ratios.journalToAppend)),
  line("journal / append with nothing else going on", cells(ratios.journalToQuietAppend))
]
