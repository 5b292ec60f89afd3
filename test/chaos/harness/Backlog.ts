import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { type BenchProcess, benchProcess } from "../../support/BenchProcess.ts"
import { gatekeeperUp } from "../../support/GatekeeperSchema.ts"
import { fixed, line, whole } from "../../support/Table.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"
import { type TestPostgres, testPostgres } from "../../support/TestPostgres.ts"
import { type LossAccount, lossAccountOf } from "./LossAccount.ts"
import { type TrailReport, trailReport } from "./Trail.ts"

export interface BacklogOptions {
  readonly events: number
  /** The memory is looked at each so many events. */
  readonly step: number
}

/** What the recording process said of itself. Milliseconds since the epoch, events, bytes. */
const Look = Schema.Struct({
  at: Schema.Number,
  depth: Schema.Number,
  /** Of `depth`: in the journal only. */
  beyond: Schema.Number,
  journal: Schema.Number,
  rss: Schema.Number,
  heapUsed: Schema.Number
})
type Look = typeof Look.Type

export interface BacklogRun {
  readonly events: number
  /** While PostgreSQL was away: at the start, then each `step` events. */
  readonly filling: ReadonlyArray<Look>
  /** From PostgreSQL's return until it had the first of them, in milliseconds. */
  readonly pause: number
  /** From then until it had all of them. */
  readonly seconds: number
  /** Bytes at most, while they were written. */
  readonly highestRss: number
  readonly trail: TrailReport
  readonly account: LossAccount
}

const untilWritten = (recording: BenchProcess, events: number) =>
  Effect.gen(function* () {
    const looks = [yield* recording.next(Look)]
    for (let look = looks[0]; look !== undefined && look.depth > 0; look = looks.at(-1)) {
      looks.push(yield* recording.next(Look))
    }
    const waiting = looks.filter(({ depth }) => depth >= events)
    return {
      began: waiting.at(-1)?.at ?? Number.NaN,
      ended: looks.at(-1)?.at ?? Number.NaN,
      highestRss: Math.max(...looks.map(({ rss }) => rss))
    }
  })

const outlive = (postgres: TestPostgres, { events, step }: BacklogOptions) =>
  Effect.gen(function* () {
    const recording = yield* benchProcess({
      program: "test/chaos/harness/BacklogProcess.ts",
      words: [String(events), String(step)],
      environment: { DATABASE_URL: Redacted.value(postgres.url), GRAVITAS_HOME: yield* temporaryHome }
    })
    yield* recording.next(Schema.Struct({}))
    yield* postgres.stop
    yield* recording.send("record")
    const looks = 1 + Math.floor(events / step)
    const filling = yield* Effect.replicateEffect(recording.next(Look), looks)
    yield* postgres.start
    const back = performance.timeOrigin + performance.now()
    const { began, ended, highestRss } = yield* untilWritten(recording, events)
    return {
      events,
      filling,
      pause: Math.max(0, Math.round(began - back)),
      seconds: (ended - began) / 1_000,
      highestRss
    }
    // Its end signs off, which the account wants to see.
  }).pipe(Effect.scoped)

/** A process that records while PostgreSQL is away, until so many events wait; then it comes back. */
export const backlog = (options: BacklogOptions) =>
  Effect.gen(function* () {
    // As durable as a server's: how fast it takes what waited is measured.
    const postgres = yield* testPostgres({ settings: { fsync: "on", full_page_writes: "on" } })
    yield* Logger.withMinimumLogLevel(gatekeeperUp(postgres.url), LogLevel.Warning)
    const outlived = yield* outlive(postgres, options)
    const connection = yield* connect({ url: postgres.url, applicationName: "gravitas chaos", deadline: "2 minutes" })
    const run: BacklogRun = {
      ...outlived,
      trail: yield* trailReport(connection),
      account: yield* lossAccountOf(connection, 0)
    }
    return run
  }).pipe(Effect.scoped)

/** Whether every event is in the table, once, and the process signed off at the last. */
export const isWhole = ({ account, events, trail }: BacklogRun): boolean =>
  trail.rows === events &&
  trail.gaps + trail.repeated + trail.deadLetters + account.named + account.tails + account.wrong.length === 0

const megabytes = (bytes: number): string => fixed(0)(bytes / 2 ** 20)

const runText = (run: BacklogRun): string => {
  const { account, events, filling, highestRss, pause, seconds, trail } = run
  const [first, last] = [filling[0], filling.at(-1)]
  const rate = first === undefined || last === undefined ? 0 : (events * 1_000) / (last.at - first.at)
  return [
    line("PostgreSQL is away; events that wait", ["in memory", "journal MB", "heap MB", "RSS MB"]),
    ...filling.map(({ beyond, depth, heapUsed, journal, rss }) =>
      line(whole(depth), [whole(depth - beyond), megabytes(journal), megabytes(heapUsed), megabytes(rss)])
    ),
    `recorded ${whole(rate)} a second; PostgreSQL came back, had the first after ${pause} ms and all ${fixed(1)(seconds)} s later: ` +
      `${whole(events / seconds)} rows a second, ${megabytes(highestRss)} MB at most`,
    `${whole(trail.rows)} rows of ${whole(events)} events, ${trail.gaps} gaps, ${trail.repeated} numbers repeated, ` +
      `${trail.deadLetters} dead letters: ${isWhole(run) ? "whole" : "NOT WHOLE"}`,
    ...account.wrong.map((one) => `  ${one}`)
  ].join("\n")
}

/** Of all events: how often the memory is looked at. */
const looks = 20

export interface BacklogCommand {
  readonly events: number
  readonly json: boolean
}

/** `pnpm chaos backlog`. Answers whether all of it came into the table. */
export const backlogCommand = ({ events, json }: BacklogCommand) =>
  Effect.gen(function* () {
    const run = yield* backlog({ events, step: Math.ceil(events / looks) })
    console.log(json ? JSON.stringify(run) : runText(run))
    return isWhole(run)
  })
