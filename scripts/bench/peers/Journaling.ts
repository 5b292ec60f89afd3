import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { destination, pino } from "pino"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { event } from "../../../test/support/BenchEvents.ts"
import { drained, openTrail } from "../../../test/support/BenchTrail.ts"
import { median, medianPercentiles, percentiles } from "../../../test/support/Samples.ts"
import { temporaryHome } from "../../../test/support/TemporaryHome.ts"
import { paced } from "../audit/Calls.ts"
import { progress } from "../Progress.ts"
import type { Pace } from "./Pace.ts"
import { openSqlite, type Sqlite } from "./Sqlite.ts"

const titles = {
  journal: "record, journal",
  pino: "pino, a line by one write",
  sqlite: "better-sqlite3, WAL, a row a transaction"
} as const

type Subject = keyof typeof titles

const linesIn = (file: string): number => Fs.readFileSync(file, "utf8").split("\n").length - 1

const rowsIn = (url: Redacted.Redacted) =>
  connect({ url, applicationName: "gravitas bench", deadline: "1 minute" }).pipe(
    Effect.flatMap((connection) =>
      connection.query("select count(*)::integer as rows from gatekeeper.audit_log where action = 'execute'")
    ),
    Effect.map(({ rows }) => Number(rows[0]?.["rows"])),
    Effect.scoped
  )

/** The first tenth of `paced` warms up; the subjects are called for it too. */
const callsOf = (events: number): number => events + 50 * Math.ceil(events / 50 / 10)

const round = (url: Redacted.Redacted, sqlite: Sqlite | undefined, events: number) =>
  Effect.gen(function* () {
    const home = yield* temporaryHome
    const trail = yield* openTrail({ url, home, durability: "journal" })
    const file = Path.join(home, "events.jsonl")
    const logger = pino(destination({ dest: file, sync: true }))
    const table = sqlite === undefined ? undefined : yield* sqlite(Path.join(home, "events.db"))
    const before = yield* rowsIn(url)
    const taken = yield* paced(
      {
        journal: trail.record(event),
        pino: () => logger.info(event),
        // Takes no time where there is no SQLite; the report leaves it out.
        sqlite: table === undefined ? () => {} : () => table.insert(event)
      },
      events
    )
    yield* drained(trail)
    const calls = callsOf(events)
    const kept: Record<Subject, number> = {
      journal: (yield* rowsIn(url)) - before,
      pino: linesIn(file),
      sqlite: table?.count() ?? 0
    }
    const figuresOf = (subject: Subject) => ({
      microseconds: percentiles(taken[subject]),
      mean: taken[subject].reduce((sum, value) => sum + value, 0) / events / 1_000,
      missing: calls - kept[subject]
    })
    return { journal: figuresOf("journal"), pino: figuresOf("pino"), sqlite: figuresOf("sqlite") }
  }).pipe(Effect.scoped)

type Measurement = Effect.Effect.Success<ReturnType<typeof round>>

/** Keeping one event so that it survives the process: what `record` costs beside plain ways. All take turns in one process. */
export const journalingPeers = (url: Redacted.Redacted, { events, rounds }: Pace) =>
  Effect.gen(function* () {
    const { open, reason } = yield* openSqlite
    if (reason !== undefined) yield* progress(`better-sqlite3 is left out: ${reason}`)
    const taken: Array<Measurement> = []
    for (let number = 1; number <= rounds; number++) {
      yield* progress(`journaling, round ${number} of ${rounds}`)
      taken.push(yield* round(url, open, events))
    }
    const summary = (subject: Subject) => {
      const all = taken.map((round) => round[subject])
      return {
        title: titles[subject],
        mean: median(all.map(({ mean }) => mean)),
        microseconds: medianPercentiles(all.map(({ microseconds }) => microseconds)),
        missing: all.reduce((sum, { missing }) => sum + missing, 0)
      }
    }
    return {
      events: events * rounds,
      subjects: [summary("journal"), summary("pino"), ...(open === undefined ? [] : [summary("sqlite")])],
      leftOut: reason ?? null
    }
  })

export type JournalingReport = Effect.Effect.Success<ReturnType<typeof journalingPeers>>
