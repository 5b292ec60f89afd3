import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { event } from "../../../test/support/BenchEvents.ts"
import { batch, drained, openTrail } from "../../../test/support/BenchTrail.ts"
import { median } from "../../../test/support/Samples.ts"
import { fixed, line, whole } from "../../../test/support/Table.ts"
import { temporaryHome } from "../../../test/support/TemporaryHome.ts"
import { progress } from "../Progress.ts"
import { copyRate, singleRate } from "./PlainWrites.ts"

const rowsPerRound = 30_000
const singlesPerRound = 1_000
/** So few in memory that all but these are read back from the journal. */
const fewInMemory = batch

/** Rows per second from the release of a waiting trail to its last COMMIT. */
const drainRate = (url: Redacted.Redacted, capacity: number) =>
  Effect.gen(function* () {
    const gate = yield* Effect.makeLatch(false)
    const trail = yield* openTrail({
      url,
      home: yield* temporaryHome,
      durability: "journal",
      capacity,
      gate: gate.await
    })
    yield* Effect.forEach(Array.from({ length: rowsPerRound }), () => trail.record(event), { discard: true })
    const [took] = yield* Effect.timed(Effect.zipRight(gate.open, drained(trail)))
    return rowsPerRound / Duration.toSeconds(took)
  }).pipe(Effect.scoped)

/** The drain beside plain ways to write the same rows into the same table. */
export const drainBench = (url: Redacted.Redacted, rounds = 5) =>
  Effect.gen(function* () {
    const connection = yield* connect({ url, applicationName: "gravitas bench" })
    const round = Effect.all({
      copy: copyRate(connection, rowsPerRound),
      memory: drainRate(url, rowsPerRound),
      readBack: drainRate(url, fewInMemory),
      single: singleRate(connection, singlesPerRound)
    })
    yield* round
    const taken: Array<Effect.Effect.Success<typeof round>> = []
    for (let number = 1; number <= rounds; number++) {
      yield* progress(`drain, round ${number} of ${rounds}`)
      taken.push(yield* round)
    }
    return {
      batch,
      rowsPerSecond: {
        drain: median(taken.map(({ memory }) => memory)),
        drainReadingBack: median(taken.map(({ readBack }) => readBack)),
        copy: median(taken.map(({ copy }) => copy)),
        single: median(taken.map(({ single }) => single))
      },
      ratios: {
        drainToCopy: median(taken.map(({ copy, memory }) => memory / copy)),
        readingBackToCopy: median(taken.map(({ copy, readBack }) => readBack / copy)),
        drainToSingle: median(taken.map(({ memory, single }) => memory / single))
      }
    }
  }).pipe(Effect.scoped)

export type DrainReport = Effect.Effect.Success<ReturnType<typeof drainBench>>

export const drainTable = ({ batch, ratios, rowsPerSecond }: DrainReport): ReadonlyArray<string> => [
  line("drain, journal, rows per second", ["median", "/ COPY", "/ INSERT"]),
  line("from memory to COMMIT", [
    whole(rowsPerSecond.drain),
    fixed(2)(ratios.drainToCopy),
    fixed(1)(ratios.drainToSingle)
  ]),
  line("read back from the journal", [whole(rowsPerSecond.drainReadingBack), fixed(2)(ratios.readingBackToCopy)]),
  line(`COPY x${batch}, text made beforehand`, [whole(rowsPerSecond.copy)]),
  line("one INSERT per event", [whole(rowsPerSecond.single)])
]
