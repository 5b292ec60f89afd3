import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Queue from "effect/Queue"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { AuditLog } from "../../src/audit/AuditLog.ts"
import { type HashedRow, makeRow } from "../../src/audit/AuditRow.ts"
import { AuditStore } from "../../src/audit/AuditStore.ts"
import { copyColumns, copyLine } from "../../src/audit/CopyText.ts"
import { encodeEvent } from "../../src/audit/EventEncoding.ts"
import * as PostgresAuditStore from "../../src/audit/PostgresAuditStore.ts"
import { makeUuidV7 } from "../../src/audit/UuidV7.ts"
import type { AuditEvent } from "../../src/domain/AuditEvent.ts"
import { type Connection, connect } from "../../src/platform/Connection.ts"
import { gatekeeperUp } from "../../test/support/GatekeeperSchema.ts"
import { benchDatabase } from "./BenchDatabase.ts"
import { median, type Percentiles, percentiles, sample } from "./Samples.ts"

const batch = 1_000
const rounds = 5
const rowsPerRound = 30_000
const singlesPerRound = 1_000
const samples = 200_000
/** Events of one burst; between bursts the drain works. */
const burst = 50

const event: AuditEvent = {
  action: "execute",
  resource: "shells/l1/small-model",
  ghostId: "Librarian",
  shellId: "gemma2:27b",
  result: "ALLOWED",
  reason: "group librarian may execute shells/*",
  requestId: "0f8fad5b-d9cb-469f-a165-70867728950e",
  metadata: { complexity: 5, priority: 10, client: "bench", labels: ["a", "b"] }
}

/** About the most that an event can cost: every bound is met, and every character has to be replaced or escaped. */
const worstEvent: AuditEvent = {
  action: "\ud800".repeat(1_000),
  resource: "\ud800".repeat(1_000),
  ghostId: "\ud800".repeat(1_000),
  shellId: "\u0001".repeat(1_000),
  result: "ALLOWED",
  reason: "\ud800".repeat(2_000),
  requestId: "\u0001".repeat(1_000),
  metadata: Object.fromEntries(
    Array.from({ length: 1_000 }, (_, index) => [
      `\u0001${(index * 7_919) % 1_000}${"\ud800".repeat(40)}`,
      "\0".repeat(20)
    ])
  )
}
const worstSamples = 10_000

const openTrail = (url: Redacted.Redacted, capacity: number, gate: Effect.Effect<void>) =>
  Layer.build(
    AuditLog.layer({
      queueCapacity: capacity,
      batchSize: batch,
      linger: "20 millis",
      onFull: "refuse",
      shutdownDeadline: "60 seconds"
    }).pipe(
      Layer.provide(
        PostgresAuditStore.layerUrl({ url }).pipe(
          Layer.map((context) => {
            const store = Context.get(context, AuditStore)
            return Context.make(AuditStore, {
              ...store,
              append: (rows, options) => Effect.zipRight(gate, store.append(rows, options))
            })
          })
        )
      )
    )
  ).pipe(Effect.map((context) => Context.get(context, AuditLog)))

const drained = (log: typeof AuditLog.Service) =>
  log.status.pipe(Effect.repeat({ until: (status) => status.depth === 0, schedule: Schedule.spaced("2 millis") }))

/** While the drain writes to PostgreSQL; each sample is one `yield* record` of a fiber, the gap between bursts is not. */
const recordLatency = (url: Redacted.Redacted, event: AuditEvent, samples: number) =>
  Effect.gen(function* () {
    const log = yield* openTrail(url, 1_000_000, Effect.void)
    const taken = new Float64Array(samples)
    for (let index = -samples / 10; index < samples; index++) {
      const start = process.hrtime.bigint()
      yield* log.record(event)
      const took = Number(process.hrtime.bigint() - start)
      if (index >= 0) taken[index] = took
      if (index % burst === 0) yield* Effect.sleep("1 millis")
    }
    yield* drained(log)
    return percentiles(taken)
  }).pipe(Effect.scoped)

/** Rows per second from the release of a full buffer to its last COMMIT. */
const drainRate = (url: Redacted.Redacted) =>
  Effect.gen(function* () {
    const gate = yield* Effect.makeLatch(false)
    const log = yield* openTrail(url, rowsPerRound, gate.await)
    yield* Effect.forEach(Array.from({ length: rowsPerRound }), () => log.record(event), { discard: true })
    const [took] = yield* Effect.timed(Effect.zipRight(gate.open, drained(log)))
    return rowsPerRound / Duration.toSeconds(took)
  }).pipe(Effect.scoped)

const nextId = makeUuidV7((bytes) => crypto.getRandomValues(bytes))

const makeRows = (number: number): ReadonlyArray<HashedRow> => {
  const source = crypto.randomUUID()
  return Array.from({ length: number }, (_, index) => {
    const timestamp = Date.now()
    return makeRow(encodeEvent(event), { id: nextId(timestamp), timestamp, source, seq: index + 1 })
  })
}

/** COPY of 1 000 rows, each its own transaction; the text is made beforehand. */
const copyRate = (connection: Connection) =>
  Effect.gen(function* () {
    const rows = makeRows(rowsPerRound)
    const texts = Array.from({ length: rowsPerRound / batch }, (_, index) =>
      rows
        .slice(index * batch, (index + 1) * batch)
        .map(copyLine)
        .join("")
    )
    const [took] = yield* Effect.timed(
      Effect.forEach(texts, (text) => connection.copyIn(`copy gatekeeper.audit_log (${copyColumns}) from stdin`, text))
    )
    return rowsPerRound / Duration.toSeconds(took)
  })

const singleRate = (connection: Connection) =>
  Effect.gen(function* () {
    const rows = makeRows(singlesPerRound)
    const text =
      `insert into gatekeeper.audit_log (${copyColumns}) ` +
      "values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, decode($14, 'hex'))"
    const [took] = yield* Effect.timed(
      Effect.forEach(rows, (row) =>
        connection.query(text, [
          row.id,
          new Date(row.timestamp),
          row.source,
          row.seq,
          row.ghostId,
          row.shellId,
          row.action,
          row.resource,
          row.result,
          row.reason,
          row.requestId,
          row.metadata,
          row.marks,
          row.leafHash
        ])
      )
    )
    return singlesPerRound / Duration.toSeconds(took)
  })

interface Report {
  readonly microseconds: Readonly<Record<string, Percentiles>>
  readonly rowsPerSecond: { readonly drain: number; readonly copy: number; readonly single: number }
  /** Medians of the rounds' own ratios: both sides of each ran one after the other. */
  readonly ratios: { readonly drainToCopy: number; readonly drainToSingle: number }
}

const measure = Effect.gen(function* () {
  const url = yield* benchDatabase
  yield* gatekeeperUp(url)
  const connection = yield* connect({ url, applicationName: "gravitas bench" })

  const queue = yield* Queue.bounded<AuditEvent>(samples * 2)
  const microseconds = {
    "record (draining to PostgreSQL)": yield* recordLatency(url, event, samples),
    "JSON.stringify of the event": sample(samples, () => JSON.stringify(event)),
    "Queue.unsafeOffer": sample(samples, () => Queue.unsafeOffer(queue, event)),
    "an empty sample (the clock itself)": sample(samples, () => {})
  }

  const taken: Array<{ drain: number; copy: number; single: number }> = []
  for (let round = -1; round < rounds; round++) {
    const rates = {
      copy: yield* copyRate(connection),
      drain: yield* drainRate(url),
      single: yield* singleRate(connection)
    }
    // The first one warms up.
    if (round >= 0) taken.push(rates)
  }
  // Last: it leaves a hundred megabytes of log behind, and the server's checkpoint would slow the rounds.
  const worst = { "record of the worst event": yield* recordLatency(url, worstEvent, worstSamples) }
  const report: Report = {
    microseconds: { ...microseconds, ...worst },
    rowsPerSecond: {
      drain: median(taken.map((rates) => rates.drain)),
      copy: median(taken.map((rates) => rates.copy)),
      single: median(taken.map((rates) => rates.single))
    },
    ratios: {
      drainToCopy: median(taken.map((rates) => rates.drain / rates.copy)),
      drainToSingle: median(taken.map((rates) => rates.drain / rates.single))
    }
  }
  return report
})

const table = (report: Report): string => {
  const line = (name: string, cells: ReadonlyArray<string>) =>
    name.padEnd(38) + cells.map((cell) => cell.padStart(10)).join("")
  const rate = (value: number) => [Math.round(value).toLocaleString("en-US")]
  return [
    line("microseconds", ["p50", "p99", "p99.9"]),
    ...Object.entries(report.microseconds).map(([name, { p50, p99, p999 }]) =>
      line(
        name,
        [p50, p99, p999].map((value) => value.toFixed(2))
      )
    ),
    "",
    line("rows per second", []),
    line("drain (AuditLog to COMMIT)", rate(report.rowsPerSecond.drain)),
    line(`COPY x${batch}, text made beforehand`, rate(report.rowsPerSecond.copy)),
    line("one INSERT per event", rate(report.rowsPerSecond.single)),
    "",
    line("drain / COPY", [report.ratios.drainToCopy.toFixed(2)]),
    line("drain / single INSERT", [report.ratios.drainToSingle.toFixed(1)])
  ].join("\n")
}

/**
 * `pnpm bench audit`: what recording costs a request, and how fast the drain is beside plain ways to write the rows. Cut short, it
 * still stops its PostgreSQL.
 */
export const auditBench = (options: { readonly json: boolean }): void =>
  NodeRuntime.runMain(
    Effect.scoped(measure).pipe(
      Effect.flatMap((report) =>
        Effect.sync(() => console.log(options.json ? JSON.stringify(report, null, 2) : table(report)))
      ),
      Logger.withMinimumLogLevel(LogLevel.Warning)
    )
  )
