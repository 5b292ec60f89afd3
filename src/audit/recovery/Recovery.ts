import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import type { AuditLogOptions } from "../AuditSettings.ts"
import { watchReading } from "../journal/JournalStatus.ts"
import { watchDisk } from "../journal/JournalSync.ts"
import { Recorder } from "../queue/Recorder.ts"
import { WriteQueue } from "../queue/WriteQueue.ts"
import type { AuditLedger } from "../sources/AuditLedger.ts"
import { AuditStore, type Incarnation } from "../store/AuditStore.ts"
import { ProcessJournal } from "../store/ProcessJournal.ts"
import { describe } from "../store/RetryClass.ts"
import * as LossAccounts from "./LossAccounts.ts"
import { type LossWatch, makeLossWatch } from "./LossAccounts.ts"
import * as OrphanRecovery from "./OrphanRecovery.ts"

const partitionInterval = Duration.hours(1)
const heartbeatInterval = Duration.minutes(1)
const pauseAfterFailure = Duration.minutes(1)

/** Repeats a task until it succeeds, and logs each failure. */
const retryForever = (what: string, task: Effect.Effect<void, DatabaseError>) =>
  task.pipe(
    Effect.tapError((error) =>
      Effect.logWarning(
        `${what}: ${describe(error)}; trying again in ${Duration.format(pauseAfterFailure)}. No event waits for it.`
      )
    ),
    Effect.retry(Schedule.spaced(pauseAfterFailure)),
    Effect.ignore
  )

/**
 * Registers the incarnation, sends a heartbeat each minute and creates the partitions of the coming months. No event waits
 * for this work: the writer creates a missing source or partition itself.
 */
const makeMaintenance = (incarnation: Incarnation) =>
  Effect.map(AuditStore, (store) => {
    const heartbeat = Effect.ignore(store.heartbeat(incarnation)).pipe(Effect.delay(heartbeatInterval))
    const partitions = retryForever("Audit partitions were not made ahead", store.makePartitionsAhead)
    return retryForever("The audit trail's incarnation is not registered", store.register(incarnation)).pipe(
      Effect.zipRight(
        Effect.all([Effect.forever(heartbeat), Effect.repeat(partitions, Schedule.spaced(partitionInterval))], {
          concurrency: "unbounded",
          discard: true
        })
      )
    )
  })

/** The work beside the batch writer: accounting for losses, recovering orphaned journals, maintenance and alarms. */
export interface Recovery {
  readonly accounts: LossAccounts.LossAccounts
  readonly lossWatch: LossWatch
  /** Undefined where nothing is kept on disk. */
  readonly orphans: OrphanRecovery.OrphanRecovery | undefined
  readonly fiber: Fiber.RuntimeFiber<void>
}

export const Recovery = Context.GenericTag<Recovery>("audit/recovery/Recovery")

/** Restarts a task that dies of a defect, without any effect on the others. */
const supervised = (name: string, task: Effect.Effect<unknown>): Effect.Effect<void> =>
  task.pipe(
    Effect.zipRight(Effect.never),
    Effect.catchAllDefect((defect) =>
      Effect.zipRight(
        Effect.logError(`The audit trail's ${name} died and is started again in 10 s: ${String(defect)}`),
        Effect.sleep("10 seconds")
      )
    ),
    Effect.forever
  )

const make = Effect.fnUntraced(function* (options: AuditLogOptions) {
  const { eventJournal, incarnation, journal, quota, trail } = yield* ProcessJournal
  const queue = yield* WriteQueue
  const recorder = yield* Recorder
  const accounts = yield* LossAccounts.make(recorder, queue)
  const lossWatch = makeLossWatch(accounts, queue, recorder)
  const orphans =
    options.journal === null || trail === null
      ? undefined
      : yield* OrphanRecovery.make({
          directory: options.journal.directory,
          incarnation,
          trail,
          quota,
          files: options.journal.files,
          batchSize: options.batchSize,
          accounts,
          recorder
        })
  // The process that recovers this journal then knows about how many events were counted.
  const noteCounts = Effect.repeat(
    Effect.sync(() => journal?.note(recorder.counts())),
    Schedule.spaced("1 second")
  )
  const readProblem = () => journal?.status().readProblem ?? orphans?.readProblem() ?? null
  const tasks = [
    ["maintenance", yield* makeMaintenance(incarnation)],
    ["search for losses", lossWatch.run],
    ["note of counts", noteCounts],
    ["watch of the journals' reading", watchReading(readProblem)],
    ["watch of the journal's disk", watchDisk(() => eventJournal?.hanging() ?? null)],
    ["recovery of journals", orphans?.run ?? Effect.never]
  ] as const
  const fiber = yield* Effect.forkScoped(
    Effect.forEach(tasks, ([name, task]) => supervised(name, task), { concurrency: "unbounded", discard: true })
  )
  return { accounts, lossWatch, orphans, fiber }
})

/** Starts the work beside the batch writer. */
export const layer = (
  options: AuditLogOptions
): Layer.Layer<Recovery, never, AuditLedger | AuditStore | ProcessJournal | Recorder | WriteQueue> =>
  Layer.scoped(Recovery, make(options))
