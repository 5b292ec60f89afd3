import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { Connection } from "../../../src/platform/postgres/Connection.ts"
import { connect } from "../../../src/platform/postgres/Connection.ts"
import { benchProcess } from "../../../test/support/BenchProcess.ts"
import { fixed, line, whole } from "../../../test/support/Table.ts"
import { temporaryHome } from "../../../test/support/TemporaryHome.ts"
import { progress } from "../Progress.ts"
import { copyRate } from "./PlainWrites.ts"

const copiedRows = 50_000

const Latency = Schema.Struct({ p50: Schema.Number, p99: Schema.Number, p999: Schema.Number })
const Bytes = Schema.Array(Schema.Number)
const Filled = Schema.Struct({ rss: Bytes, liveMemory: Bytes, latency: Latency, pending: Schema.Number })
const Recovered = Schema.Struct({ seconds: Schema.Number, highestRss: Schema.Number })

const rowsIn = (connection: Connection) =>
  Effect.map(connection.query("select count(*)::integer as rows from gatekeeper.audit_log"), ({ rows }) =>
    Number(rows[0]?.["rows"])
  )

const ratioOf = (values: ReadonlyArray<number>, above: number, below: number): number =>
  (values[above] ?? Number.NaN) / (values[below] ?? Number.NaN)

const megabytes = (bytes: number): number => bytes / 2 ** 20

/** A process that is killed with `events` waiting, and what the next one needs to write them. */
export const recoveryBench = (url: Redacted.Redacted, events: number) =>
  Effect.gen(function* () {
    const connection = yield* connect({ url, applicationName: "gravitas bench", deadline: "5 minutes" })
    const environment = { DATABASE_URL: Redacted.value(url), GRAVITAS_HOME: yield* temporaryHome }
    const program = "scripts/bench/audit/RecoveryProcess.ts"

    yield* progress(`recovery, recording ${whole(events)} events that PostgreSQL does not take`)
    const filling = yield* benchProcess({ program, words: ["fill", String(events)], environment })
    const filled = yield* filling.next(Filled)
    yield* filling.kill
    const before = yield* rowsIn(connection)

    yield* progress("recovery, COPY before")
    const copyBefore = yield* copyRate(connection, copiedRows)
    yield* progress("recovery, the next process")
    const recovering = yield* benchProcess({ program, words: ["recover"], environment })
    const recovered = yield* recovering.next(Recovered)
    yield* progress("recovery, COPY after")
    const copyAfter = yield* copyRate(connection, copiedRows)

    const missing = before + 2 * copiedRows + events - (yield* rowsIn(connection))
    const copy = (copyBefore + copyAfter) / 2
    const rate = events / recovered.seconds
    return {
      events,
      pendingAtTheKill: filled.pending,
      /** Rows that should be in the table and are not: none. */
      missing,
      microsecondsOfRecord: filled.latency,
      /** At the start, and with a tenth, half and all of the events waiting. */
      rssMegabytes: filled.rss.map(megabytes),
      /** What the collector finds reachable before the first event and after the last. */
      liveMegabytes: filled.liveMemory.map(megabytes),
      rssMegabytesRecovering: megabytes(recovered.highestRss),
      seconds: recovered.seconds,
      rowsPerSecond: { recovery: rate, copy },
      /** RSS with all events waiting to that with a tenth of them: near 1 where what waits is not in memory. */
      ratios: { recoveryToCopy: rate / copy, flatness: ratioOf(filled.rss, 3, 1) }
    }
  }).pipe(Effect.scoped)

export type RecoveryReport = Effect.Effect.Success<ReturnType<typeof recoveryBench>>

export const recoveryTable = (report: RecoveryReport): ReadonlyArray<string> => {
  const { p50, p99, p999 } = report.microsecondsOfRecord
  const { ratios, rowsPerSecond } = report
  const live = (index: number): string => fixed(0)(report.liveMegabytes[index] ?? Number.NaN)
  return [
    line("with PostgreSQL away, MB", ["start", "10 %", "50 %", "100 %"]),
    line(`RSS, up to ${whole(report.pendingAtTheKill)} events waiting`, report.rssMegabytes.map(fixed(0))),
    line("live heap and buffers, after a collection", [live(0), "", "", live(1)]),
    line("RSS at 100 % / at 10 %", [fixed(2)(ratios.flatness)]),
    line("meanwhile: record, journal, microseconds", ["p50", "p99", "p99.9"]),
    line("", [p50, p99, p999].map(fixed(2))),
    line("recovery after SIGKILL, rows per second", ["rate", "/ COPY", "seconds", "RSS MB", "missing"]),
    line(`${whole(report.events)} events of the dead process`, [
      whole(rowsPerSecond.recovery),
      fixed(2)(ratios.recoveryToCopy),
      fixed(1)(report.seconds),
      fixed(0)(report.rssMegabytesRecovering),
      whole(report.missing)
    ]),
    line("COPY x1000 before and after it", [whole(rowsPerSecond.copy)])
  ]
}
