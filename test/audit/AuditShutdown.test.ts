import { expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import * as AuditShutdown from "../../src/audit/AuditShutdown.ts"
import { FailureLimit } from "../../src/audit/failures/FailureLimit.ts"
import { Recorder } from "../../src/audit/queue/Recorder.ts"
import * as WriteQueue from "../../src/audit/queue/WriteQueue.ts"
import { Recovery } from "../../src/audit/recovery/Recovery.ts"
import { AuditStore } from "../../src/audit/store/AuditStore.ts"
import { ProcessJournal } from "../../src/audit/store/ProcessJournal.ts"
import { RunningBatchWriter } from "../../src/audit/writer/BatchWriter.ts"
import * as WriterProgress from "../../src/audit/writer/WriterProgress.ts"
import { ShutdownReport } from "../../src/platform/os/ShutdownReport.ts"
import { connect } from "../../src/platform/postgres/Connection.ts"
import { DatabaseError } from "../../src/platform/postgres/DatabaseError.ts"
import { anEvent } from "../support/AuditEvents.ts"
import { tcpProxy } from "../support/TcpProxy.ts"
import {
  gatekeeperDatabase,
  isConserved,
  openTrail,
  query,
  recordedIds,
  recordMany,
  settled,
  until,
  untilRows,
  withLogs
} from "../support/Trail.ts"

const away = new DatabaseError({ phase: "connect", reason: "away" })

const signedOff = (url: Parameters<typeof query>[0]) =>
  query(
    url,
    "select last_seq::integer, signed_off_seq::integer, unwritten::integer, in_doubt::integer from gatekeeper.audit_source"
  )

/** Maintenance commits too when it starts; after that the next COMMIT is the batch writer's. */
const registered = (url: Parameters<typeof query>[0]) =>
  untilRows(url, "select pid from gatekeeper.audit_source where pid is not null", (rows) => rows.length === 1)

it.scopedLive("events whose COMMIT was not answered at shutdown count as written if they are", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const proxy = yield* tcpProxy(url)
    const trail = yield* openTrail(proxy.url, {
      shutdownDeadline: "2 seconds"
    })
    yield* recordMany(trail.log, 5)
    yield* settled(trail.log)
    yield* registered(url)
    yield* Effect.all([proxy.holdAnswerTo("commit"), recordMany(trail.log, 20)], { concurrency: 2 })
    yield* trail.shutdown
    expect(trail.unwritten()).toBe(0)
    expect((yield* recordedIds(url)).length).toBe(25)
    expect(yield* signedOff(url)).toEqual([{ last_seq: 25, signed_off_seq: 25, unwritten: 0, in_doubt: 0 }])
    const status = yield* trail.log.status
    expect(status.counters.committed).toBe(25)
    expect(isConserved(status)).toBe(true)
  })
)

it.scopedLive("a dead letter whose COMMIT was not answered at shutdown counts as kept if it is", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    yield* query(url, "alter table gatekeeper.audit_log add constraint no_poison check (action <> 'poison')")
    const proxy = yield* tcpProxy(url)
    const trail = yield* openTrail(proxy.url, {
      shutdownDeadline: "2 seconds"
    })
    yield* registered(url)
    yield* Effect.all([proxy.holdAnswerTo("commit"), trail.log.record({ ...anEvent, action: "poison" })], {
      concurrency: 2
    })
    yield* trail.shutdown
    expect(trail.unwritten()).toBe(0)
    expect((yield* trail.log.status).counters).toMatchObject({ committed: 0, deadLettered: 1 })
    expect(yield* signedOff(url)).toEqual([{ last_seq: 1, signed_off_seq: 1, unwritten: 0, in_doubt: 0 }])
  })
)

it.scopedLive("events that stay in doubt at shutdown are reported and signed off as in doubt", () =>
  withLogs((lines) =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const proxy = yield* tcpProxy(url)
      const trail = yield* openTrail(proxy.url, { batchSize: 20, shutdownDeadline: "2 seconds" }, (store) => ({
        ...store,
        locate: () => Effect.fail(away)
      }))
      yield* registered(url)
      yield* Effect.all([proxy.holdAnswerTo("commit"), recordMany(trail.log, 27)], { concurrency: 2 })
      yield* trail.shutdown
      expect(trail.unwritten()).toBe(27)
      expect(yield* signedOff(url)).toEqual([{ last_seq: 20, signed_off_seq: 27, unwritten: 7, in_doubt: 20 }])
      expect(
        lines.filter((line) => line.startsWith("ERROR 20 audit events were answered and are IN DOUBT")).length
      ).toBe(1)
      expect(lines.filter((line) => line.startsWith("ERROR 7 audit events were answered and are NOT")).length).toBe(1)
    })
  )
)

it.scopedLive("a session that is still being opened at shutdown writes nothing after the count", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const proxy = yield* tcpProxy(url)
    const trail = yield* openTrail(proxy.url, {
      shutdownDeadline: "1 second"
    })
    yield* recordMany(trail.log, 5)
    yield* settled(trail.log)
    proxy.delayConnections(900)
    yield* query(
      url,
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'gravitas audit' and datname = current_database()"
    )
    yield* recordMany(trail.log, 20)
    yield* until(trail.log, (status) => status.depth === 20)
    yield* Effect.sleep("200 millis")
    const [took] = yield* Effect.timed(trail.shutdown)
    expect(Duration.toMillis(took)).toBeLessThan(3_000)
    yield* Effect.sleep("1200 millis")
    const written = (yield* recordedIds(url)).length
    expect(written + trail.unwritten()).toBe(25)
  })
)

it.scopedLive("an incarnation that wrote nothing signs off all the same, by name", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const trail = yield* openTrail(url, { shutdownDeadline: "2 seconds" }, (store) => ({
      ...store,
      register: () => Effect.fail(away),
      append: () => Effect.fail(away)
    }))
    yield* recordMany(trail.log, 7)
    yield* trail.shutdown
    const { source } = yield* trail.log.status
    expect(
      yield* query(
        url,
        `select source, pid, host is not null and started_at is not null as named, last_seq, signed_off_seq, unwritten
         from gatekeeper.audit_source`
      )
    ).toEqual([{ source, pid: process.pid, named: true, last_seq: "0", signed_off_seq: "7", unwritten: "7" }])
  })
)

it.scopedLive("a writer that does not stop is interrupted, and its batch is looked up in the table", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const trail = yield* openTrail(url, { shutdownDeadline: "4 seconds" }, (store) => ({
      ...store,
      append: (rows, options) => Effect.zipRight(store.append(rows, options), Effect.never)
    }))
    yield* recordMany(trail.log, 9)
    yield* Effect.sleep("300 millis")
    yield* trail.shutdown
    // It was committed, although its answer was lost; the table was asked.
    expect(trail.unwritten()).toBe(0)
    expect(yield* signedOff(url)).toEqual([{ last_seq: 9, signed_off_seq: 9, unwritten: 0, in_doubt: 0 }])
  })
)

it.scopedLive("the shutdown waits for a lock on the source's row no longer than its deadline", () =>
  Effect.gen(function* () {
    const url = yield* gatekeeperDatabase
    const trail = yield* openTrail(url, { shutdownDeadline: "500 millis" })
    yield* recordMany(trail.log, 3)
    yield* settled(trail.log)
    const holder = yield* connect({ url, applicationName: "holder" })
    yield* holder.query("begin")
    yield* holder.query("select * from gatekeeper.audit_source for update")
    yield* recordMany(trail.log, 3)
    const [took] = yield* Effect.timed(trail.shutdown)
    yield* holder.query("rollback")
    expect(Duration.toMillis(took)).toBeLessThan(2_500)
  })
)

it.scopedLive("the log of a problem while events are shed does not claim that none is lost", () =>
  withLogs((lines) =>
    Effect.gen(function* () {
      const url = yield* gatekeeperDatabase
      const trail = yield* openTrail(
        url,
        { queueCapacity: 3, onFull: "shed", linger: "100 millis", shutdownDeadline: "300 millis" },
        (store) => ({ ...store, append: () => Effect.fail(away) })
      )
      yield* recordMany(trail.log, 5)
      yield* until(trail.log, (status) => status.drain === "retrying")
      const told = lines.filter((line) => line.includes("cannot be written"))
      expect(told).toEqual([expect.stringContaining("3 events wait, 2 were answered without a record")])
    })
  )
)

it.effect("a short shutdown tries the receipt for shed events every 20 ms", () =>
  Effect.gen(function* () {
    let attempts = 0
    const written = yield* Effect.fork(Effect.void)
    const receiptShed = Effect.sync(() => {
      attempts += 1
    })
    const recorder = {
      counts: () => ({ lastSeq: 2, shed: 2, refused: 0 }),
      isLimiting: () => false,
      shedRange: () => (attempts < 4 ? { from: 1, to: 2, count: 2 } : undefined)
    }
    const lossWatch = { settleLast: Effect.void, quarantined: () => 0 }
    const shutdown = yield* AuditShutdown.make("400 millis").pipe(
      Effect.provideService(ProcessJournal, { incarnation: {} } as ProcessJournal),
      Effect.provideService(WriteQueue.WriteQueue, yield* WriteQueue.make({ capacity: 1, batchSize: 1, linger: 0 })),
      Effect.provideService(Recorder, recorder as Recorder),
      Effect.provideService(FailureLimit, { admit: (event) => event, summarise: Effect.void }),
      Effect.provideService(RunningBatchWriter, {
        giveUp: Effect.void,
        progress: WriterProgress.make({ depth: () => 0, shed: () => 2 }),
        fiber: written
      }),
      Effect.provideService(Recovery, { accounts: { receiptShed }, lossWatch, fiber: written } as Recovery),
      Effect.provideService(AuditStore, { signOff: () => Effect.void } as unknown as typeof AuditStore.Service),
      Effect.provide(ShutdownReport.layer)
    )
    yield* Effect.fork(shutdown)
    yield* TestClock.adjust("119 millis")
    expect(attempts).toBe(4)
  })
)

it.each([
  [0, 0, "This process recorded no audit events."],
  [1, 0, "The one audit event of this process is in PostgreSQL."],
  [11, 0, "All 11 audit events of this process are in PostgreSQL."],
  [2, 1, "All 3 audit events of this process are in PostgreSQL, 1 of them as dead letters."]
])("An end at which nothing is missing says so: %i rows, %i dead letters", (committed, letters, message) => {
  expect(AuditShutdown.wholeMessage(committed, letters)).toBe(message)
})
