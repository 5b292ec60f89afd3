import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { ShutdownReport } from "../platform/os/ShutdownReport.ts"
import { FailureLimit } from "./failures/FailureLimit.ts"
import { Recorder } from "./queue/Recorder.ts"
import { WriteQueue } from "./queue/WriteQueue.ts"
import { Recovery } from "./recovery/Recovery.ts"
import { AuditStore } from "./store/AuditStore.ts"
import { ProcessJournal } from "./store/ProcessJournal.ts"
import { RunningBatchWriter } from "./writer/BatchWriter.ts"

/**
 * The latest end of each phase, as a share of the deadline; time that a phase does not use falls to the next. Events that are
 * not written by the end of `flush` are given up, so that they can still be counted and reported in time.
 */
const endsAt = { receipt: 0.3, flush: 0.6, giveUp: 0.7, interrupt: 0.75, locate: 0.85, signOff: 1 } as const

type Within = <A, E>(phase: keyof typeof endsAt, effect: Effect.Effect<A, E>) => Effect.Effect<Option.Option<A>, E>

const services = Effect.all({
  process: ProcessJournal,
  queue: WriteQueue,
  recorder: Recorder,
  failures: FailureLimit,
  writer: RunningBatchWriter,
  recovery: Recovery,
  store: AuditStore,
  report: ShutdownReport
})

interface Parts extends Effect.Effect.Success<typeof services> {
  /** Runs an effect until its phase ends. */
  readonly within: Within
}

/** How long to wait before the receipt is tried again, where a journal's disk recovers and no row is settled. */
const receiptRetry = "20 millis"

const makeWithin = (start: number, deadline: Duration.DurationInput): Within => {
  const millis = Duration.toMillis(deadline)
  return (phase, effect) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      effect.pipe(
        // A server that hangs does not answer a cancel request either, so the interruption is not waited for.
        Effect.disconnect,
        Effect.interruptible,
        Effect.timeoutOption(Duration.millis(Math.max(0, start + millis * endsAt[phase] - now)))
      )
    )
}

/** Gives up what is not written. From then on the writer writes nothing, so the counts stay true. */
const giveUp = Effect.fnUntraced(function* ({ store, within, writer }: Parts) {
  yield* writer.giveUp
  yield* store.abandon
  // It ends by itself and then knows how far its transaction got; an interrupted writer does not.
  if (Option.isSome(yield* within("giveUp", Fiber.await(writer.fiber)))) return
  yield* Fiber.interruptFork(writer.fiber)
  yield* within("interrupt", Fiber.await(writer.fiber))
})

/** Finds out which rows without an answer to their COMMIT were written. Returns how many remain in doubt. */
const settleDoubts = Effect.fnUntraced(function* ({ process, queue, store, within, writer }: Parts) {
  const rows = [...queue.parked(), ...queue.inFlight()].flatMap((batch) => (batch.certain ? [] : batch.rows))
  if (rows.length === 0) return 0
  const ids = rows.map((row) => row.id)
  const found = yield* Effect.option(Effect.flatten(within("locate", store.locate(process.incarnation, ids))))
  if (Option.isNone(found)) return rows.length
  const { committed, deadLettered } = found.value
  queue.dropSettled((row) => committed.has(row.id) || deadLettered.has(row.id))
  yield* writer.progress.settled({ committed: committed.size, deadLettered: deadLettered.size })
  return 0
})

/** Whether every shed event is named by a receipt, and every limited failure is counted in a summary. */
const isReceipted = ({ recorder }: Parts) => recorder.shedRange() === undefined && !recorder.isLimiting()

/** Ends the journal. A disk that hangs delays nothing: the journal is then like that of a killed process. */
const endJournal = ({ process: { journal }, within }: Parts, remove: boolean) =>
  journal === undefined ? Effect.void : Effect.asVoid(within("signOff", journal.end({ remove })))

/** Leaves the unwritten events in the journal: the next start with the same GRAVITAS_HOME writes them. */
const keepInJournal = Effect.fnUntraced(function* (parts: Parts) {
  const { process, queue } = parts
  yield* Effect.logWarning(
    `${queue.depth()} audit events are not in the database yet and stay in the journal ${process.journal?.path}: the next ` +
      "start with this GRAVITAS_HOME writes them. Keep that directory."
  )
  yield* endJournal(parts, false)
})

/** Logs and reports unwritten events before the sign-off, which may hang. */
const reportUnwritten = Effect.fnUntraced(function* (parts: Parts, unwritten: number, inDoubt: number) {
  const { process, recorder, report } = parts
  const which = `(source ${process.incarnation.source}, up to number ${recorder.counts().lastSeq})`
  if (unwritten > 0) {
    yield* Effect.logError(
      `${unwritten} audit events were answered and are NOT in the database ${which}: ` +
        "it did not accept them before the shutdown deadline."
    )
  }
  if (inDoubt > 0) {
    yield* Effect.logError(
      `${inDoubt} audit events were answered and are IN DOUBT ${which}: they were sent, the database did not confirm ` +
        "them before the shutdown deadline. Look for their numbers in gatekeeper.audit_log."
    )
  }
  if (unwritten + inDoubt > 0) yield* report.reportUnwritten(unwritten + inDoubt)
})

/** What is said at the end of a process whose events are all written. */
export const wholeMessage = (committed: number, letters: number): string => {
  const all = committed + letters
  if (all === 0) return "This process recorded no audit events."
  const events = all === 1 ? "The one audit event of this process is" : `All ${all} audit events of this process are`
  return `${events} in PostgreSQL${letters > 0 ? `, ${letters} of them as dead letters` : ""}.`
}

/** Logs that nothing is missing, where nothing waits, was shed or was found damaged. */
const logWhole = ({ recorder, recovery, writer }: Parts) => {
  if (recorder.counts().shed > 0 || recovery.lossWatch.quarantined() > 0) return Effect.void
  return Effect.logInfo(wholeMessage(writer.progress.committed(), writer.progress.deadLettered()))
}

const signOff = Effect.fnUntraced(function* (parts: Parts, unwritten: number, inDoubt: number) {
  const { process, recorder, recovery, store, within } = parts
  const counts = recorder.counts()
  const signedOff = store.signOff(process.incarnation, {
    lastSeq: counts.lastSeq,
    shed: counts.shed,
    refused: counts.refused,
    unwritten,
    inDoubt,
    quarantined: recovery.lossWatch.quarantined()
  })
  const answer = yield* Effect.either(Effect.flatten(within("signOff", signedOff)))
  if (Either.isLeft(answer)) {
    const reason = answer.left._tag === "DatabaseError" ? answer.left.message : "no answer in time"
    yield* Effect.logWarning(`The audit trail could not be signed off: ${reason}; its tail counts as unknown.`)
  }
  yield* endJournal(parts, Either.isRight(answer))
  if (Either.isRight(answer) && unwritten + inDoubt === 0) yield* logWhole(parts)
})

/** Writes the last receipts. No event is recorded any more, so there is room for them once the database accepts rows. */
const writeReceipts = (parts: Parts) => {
  const { failures, queue, recovery } = parts
  const receiptShed: Effect.Effect<void> = Effect.suspend(() =>
    Effect.flatMap(Effect.zipRight(failures.summarise, recovery.accounts.receiptShed), () =>
      isReceipted(parts)
        ? Effect.void
        : Effect.zipRight(Effect.raceFirst(queue.nextSettlement, Effect.sleep(receiptRetry)), receiptShed)
    )
  )
  return Effect.zipRight(receiptShed, recovery.lossWatch.settleLast)
}

const shutdown = Effect.fnUntraced(function* (parts: Parts) {
  const { process, queue, recorder, recovery, within, writer } = parts
  yield* Fiber.interruptFork(recovery.fiber)
  yield* within("receipt", writeReceipts(parts))
  yield* queue.close
  if (Option.isNone(yield* within("flush", Fiber.await(writer.fiber)))) yield* giveUp(parts)
  const inDoubt = yield* settleDoubts(parts)
  process.journal?.note(recorder.counts())
  const unwritten = queue.depth() - inDoubt
  if (process.eventJournal !== undefined && queue.depth() > 0) {
    // The process that recovers the journal signs off.
    yield* keepInJournal(parts)
  } else if (process.journal !== undefined && !isReceipted(parts)) {
    // The process that reads the counts of this one writes the receipt.
    yield* reportUnwritten(parts, unwritten, inDoubt)
    yield* endJournal(parts, false)
  } else {
    yield* reportUnwritten(parts, unwritten, inDoubt)
    yield* signOff(parts, unwritten, inDoubt)
  }
  yield* writer.progress.stopped
})

/** Closes the intake, writes what is queued, reports what could not be written or stays in the journal, and signs off. */
export const make = (deadline: Duration.DurationInput) =>
  Effect.map(services, (found) =>
    Effect.flatMap(Clock.currentTimeMillis, (start) => shutdown({ ...found, within: makeWithin(start, deadline) }))
  )
