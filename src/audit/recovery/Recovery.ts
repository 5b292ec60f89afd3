import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type { AuditLogOptions } from "../AuditLogOptions.ts"
import * as ProblemLog from "../journal/ProblemLog.ts"
import * as SyncWatchdog from "../journal/SyncWatchdog.ts"
import { Recorder } from "../queue/Recorder.ts"
import { WriteQueue } from "../queue/WriteQueue.ts"
import type { AuditLedger } from "../sources/AuditLedger.ts"
import type { AuditStore } from "../store/AuditStore.ts"
import { ProcessJournal } from "../store/ProcessJournal.ts"
import * as Maintenance from "../writer/Maintenance.ts"
import * as LossAccounts from "./LossAccounts.ts"
import * as LossWatch from "./LossWatch.ts"
import * as OrphanRecovery from "./OrphanRecovery.ts"

/** The work beside the batch writer: accounting for losses, recovering orphaned journals, maintenance and alarms. */
export interface Recovery {
  readonly accounts: LossAccounts.LossAccounts
  readonly lossWatch: LossWatch.LossWatch
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
  const lossWatch = LossWatch.make(accounts, { queue, recorder })
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
          accounts
        })
  // The process that recovers this journal then knows about how many events were counted.
  const noteCounts = Effect.repeat(
    Effect.sync(() => journal?.note(recorder.counts())),
    Schedule.spaced("1 second")
  )
  const readProblem = () => journal?.status().readProblem ?? orphans?.readProblem() ?? null
  const tasks = [
    ["maintenance", yield* Maintenance.make(incarnation)],
    ["search for losses", lossWatch.run],
    ["note of counts", noteCounts],
    ["watch of the journals' reading", ProblemLog.watchReading(readProblem)],
    ["watch of the journal's disk", SyncWatchdog.watch(() => eventJournal?.hanging() ?? null)],
    ["recovery of journals", orphans?.run ?? Effect.never]
  ] as const
  const fiber = yield* Effect.forkScoped(
    Effect.forEach(tasks, ([name, task]) => supervised(name, task), { concurrency: "unbounded", discard: true })
  )
  const recovery: Recovery = { accounts, lossWatch, orphans, fiber }
  return recovery
})

/** Starts the work beside the batch writer. */
export const layer = (
  options: AuditLogOptions
): Layer.Layer<Recovery, never, AuditLedger | AuditStore | ProcessJournal | Recorder | WriteQueue> =>
  Layer.scoped(Recovery, make(options))
