import * as Crypto from "node:crypto"
import * as Os from "node:os"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { type Durability, durabilitiesText, isJournaled } from "../domain/Durability.ts"
import { bootId } from "../platform/os/BootId.ts"
import type { AuditLogOptions } from "./AuditLogOptions.ts"
import type { AuditStatus } from "./AuditStatus.ts"
import * as DiskQuota from "./journal/DiskQuota.ts"
import * as Journal from "./journal/Journal.ts"
import * as ProblemLog from "./journal/ProblemLog.ts"
import * as SyncWatchdog from "./journal/SyncWatchdog.ts"
import * as DurabilityWaiter from "./queue/DurabilityWaiter.ts"
import { backlogOf } from "./queue/JournalBacklog.ts"
import * as Recorder from "./queue/Recorder.ts"
import * as WriteQueue from "./queue/WriteQueue.ts"
import * as Losses from "./recovery/Losses.ts"
import * as OrphanRecovery from "./recovery/OrphanRecovery.ts"
import { AuditStore, type Incarnation } from "./store/AuditStore.ts"
import * as BatchWriter from "./writer/BatchWriter.ts"
import * as Maintenance from "./writer/Maintenance.ts"
import { retryClass } from "./writer/RetryClass.ts"
import * as WriterProgress from "./writer/WriterProgress.ts"

/** The database was there a moment ago, when its schema was looked at; a short absence is waited for. */
const trailPatience = Schedule.spaced("200 millis").pipe(Schedule.upTo("10 seconds"))

const makeIncarnation = (durability: string) =>
  Effect.gen(function* () {
    const incarnation: Incarnation = {
      source: Crypto.randomUUID(),
      host: Os.hostname(),
      pid: process.pid,
      startedAt: yield* Clock.currentTimeMillis,
      bootId: yield* bootId,
      durability
    }
    return incarnation
  })

/** Begins anew when it dies of a defect, and takes nothing else along. */
const supervised = (name: string, part: Effect.Effect<unknown>): Effect.Effect<void> =>
  part.pipe(
    Effect.zipRight(Effect.never),
    Effect.catchAllDefect((defect) =>
      Effect.zipRight(
        Effect.logError(`The audit trail's ${name} died and is started again in 10 s: ${String(defect)}`),
        Effect.sleep("10 seconds")
      )
    ),
    Effect.forever
  )

/** The parts of a trail, put together: recorder -> journal and buffer -> drain, and what watches them. */
export const make = Effect.fnUntraced(function* (options: AuditLogOptions, onStepBack: (millis: number) => void) {
  const store = yield* AuditStore
  const clock = yield* Effect.clock
  const mode = durabilitiesText(options.durability)
  const incarnation = yield* makeIncarnation(mode)
  const settings = options.journal
  const askTrail = store.trail.pipe(
    Effect.retry({ schedule: trailPatience, while: (error) => retryClass(error) === "transient" })
  )
  const room = DiskQuota.make(settings?.maxBytes ?? 0)
  const trail = settings === null ? null : yield* askTrail
  const journal =
    settings === null || trail === null
      ? undefined
      : yield* Journal.open({
          directory: settings.directory,
          identity: { ...incarnation, trail },
          room,
          flushInterval: settings.flushInterval,
          files: settings.files
        })
  const keeper = isJournaled(options.durability) ? journal : undefined
  if (isJournaled(options.durability) && keeper === undefined) {
    return yield* Effect.dieMessage(`the durability ${mode} needs a journal, and there is no place for one`)
  }

  const confirmation = DurabilityWaiter.make({ journal: keeper, deadline: options.commitDeadline })
  const buffer = yield* WriteQueue.make({
    capacity: options.queueCapacity,
    batchSize: options.batchSize,
    linger: options.linger,
    overflow: keeper === undefined ? undefined : backlogOf(keeper),
    onSettled: (rows) => {
      keeper?.settle(rows)
      confirmation.settled(rows)
    }
  })
  const recorder = Recorder.make(incarnation, buffer, clock, {
    onFull: options.onFull,
    journal: keeper,
    onLoss: (counts) => journal?.note(counts),
    onStepBack
  })
  const progress = WriterProgress.make({ depth: buffer.depth, shed: () => recorder.counts().shed })
  const drain = yield* BatchWriter.make(buffer, progress, { batchSize: options.batchSize })
  const settled = (seq: number) =>
    Effect.asVoid(Effect.repeat(Effect.sleep("50 millis"), { while: () => !buffer.isSettled(seq) }))
  const losses = yield* Losses.make(recorder, settled)
  let notWithdrawn = 0

  const adoption =
    settings === null || trail === null
      ? undefined
      : yield* OrphanRecovery.make({
          directory: settings.directory,
          incarnation,
          trail,
          room,
          files: settings.files,
          batchSize: options.batchSize,
          losses,
          settled
        })

  const isDatabaseBehind = () =>
    DurabilityWaiter.isBehind(buffer.oldestInLine(), clock.unsafeCurrentTimeMillis(), options.commitDeadline)
  const hanging = () => keeper?.hanging() ?? null
  /** Why an answer that waits for what this durability promises would wait in vain. */
  const isBehind = (durability: Durability): Recorder.Refusal | undefined => {
    if (durability === "commit") return isDatabaseBehind() ? DurabilityWaiter.databaseBehind : undefined
    const problem = durability === "fsync" ? hanging() : null
    return problem === null ? undefined : DurabilityWaiter.diskBehind(problem.detail)
  }
  const accepting = () => recorder.accepting() && isBehind(options.durability.default) === undefined

  const status = Effect.sync((): AuditStatus => {
    const { offered, refused, shed } = recorder.counts()
    const oldest = buffer.oldest()
    const kept = journal?.status()
    return {
      mode,
      source: incarnation.source,
      trail,
      accepting: accepting(),
      depth: buffer.depth(),
      beyond: buffer.spilledCount(),
      capacity: options.queueCapacity,
      aside: buffer.parked().reduce((sum, piece) => sum + piece.rows.length, 0),
      pendingSize: buffer.pendingSize(),
      oldestPendingMillis: oldest === undefined ? null : Math.max(0, clock.unsafeCurrentTimeMillis() - oldest),
      counters: {
        offered,
        committed: progress.committed(),
        deadLettered: progress.deadLettered(),
        refused,
        shed,
        passedOver: buffer.unreadableCount(),
        notWithdrawn
      },
      drain: progress.state(),
      restarts: progress.restarts(),
      journal:
        journal === undefined || kept === undefined || adoption === undefined
          ? null
          : {
              path: journal.path,
              bytes: kept.bytes,
              maxBytes: kept.maxBytes,
              segments: kept.segments,
              problem: kept.problem,
              readProblem: kept.readProblem,
              quarantined: kept.quarantined,
              others: adoption.status()
            }
    }
  })

  const lossWatch = Losses.watch(losses, { buffer, recorder })
  /** So that whoever finds what a killed process left knows about how many events it had counted. */
  const note = Effect.repeat(
    Effect.sync(() => journal?.note(recorder.counts())),
    Schedule.spaced("1 second")
  )
  const readProblem = () => journal?.status().readProblem ?? adoption?.readTrouble() ?? null
  const parts = [
    ["maintenance", yield* Maintenance.make(incarnation)],
    ["search for losses", lossWatch.run],
    ["note of counts", note],
    ["watch of the journals' reading", ProblemLog.watchReading(readProblem)],
    ["watch of the journal's disk", SyncWatchdog.watch(hanging)],
    ["adoption of journals", adoption?.run ?? Effect.never]
  ] as const
  const upkeep = Effect.forEach(parts, ([name, part]) => supervised(name, part), {
    concurrency: "unbounded",
    discard: true
  })

  return {
    accepting,
    buffer,
    confirmation,
    drain,
    isBehind,
    journal,
    /** Whether the journal keeps what the database did not take. */
    keeps: keeper !== undefined,
    losses,
    lossWatch,
    notWithdrawn: () => {
      notWithdrawn += 1
    },
    progress,
    recorder,
    status,
    upkeep
  }
})

export type Pipeline = Effect.Effect.Success<ReturnType<typeof make>>
