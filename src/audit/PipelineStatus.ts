import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import type { AuditStatus } from "../contracts/AuditStatus.ts"
import { durabilitiesText } from "../domain/Durability.ts"
import type { AuditLogOptions } from "./AuditSettings.ts"
import type { Counts } from "./journal/CheckpointFile.ts"
import type { Journal } from "./journal/Journal.ts"
import { Recorder } from "./queue/Recorder.ts"
import { WriteQueue } from "./queue/WriteQueue.ts"
import type { OrphanRecovery } from "./recovery/OrphanRecovery.ts"
import { Recovery } from "./recovery/Recovery.ts"
import { ProcessJournal } from "./store/ProcessJournal.ts"
import { RunningBatchWriter } from "./writer/BatchWriter.ts"

/** The status of the pipeline, and what only the balance of its sources needs. */
export interface PipelineStatus extends AuditStatus {
  /** The trail that the events belong to, a uuid; null where nothing is kept on disk. */
  readonly trail: string | null
  /** The counts of the process whose journal is being recovered. */
  readonly adoptingCounts: Counts | null
}

/** The trail's part of `/health`, `/readyz` and `/audit/pipeline`. */
export const auditView = ({ adoptingCounts: _counts, trail: _trail, ...view }: PipelineStatus): AuditStatus => view

const journalStatus = (journal: Journal, orphans: OrphanRecovery): AuditStatus["journal"] => {
  const { bytes, maxBytes, problem, quarantined, readProblem, segments } = journal.status()
  const { adopting, ...others } = orphans.status()
  return {
    path: journal.path,
    bytes,
    max_bytes: maxBytes,
    segments,
    problem: problem?.detail ?? null,
    read_problem: readProblem?.detail ?? null,
    quarantined,
    others: {
      ...others,
      adopting:
        adopting === undefined
          ? null
          : {
              source: adopting.source,
              pending: adopting.pending,
              read_problem: adopting.readProblem?.detail ?? null
            }
    }
  }
}

/** Collects the status of all parts of the pipeline. */
export const make = Effect.fnUntraced(function* (
  options: AuditLogOptions,
  log: { readonly accepting: () => boolean; readonly notWithdrawn: () => number }
) {
  const { incarnation, journal, trail } = yield* ProcessJournal
  const queue = yield* WriteQueue
  const recorder = yield* Recorder
  const { progress } = yield* RunningBatchWriter
  const { orphans } = yield* Recovery
  const clock = yield* Effect.clock
  const mode = durabilitiesText(options.durability)

  return Effect.sync((): PipelineStatus => {
    const { offered, refused, shed } = recorder.counts()
    const drain = progress.state()
    const oldest = queue.oldest()
    return {
      mode,
      source: incarnation.source,
      accepting: log.accepting(),
      drain: drain._tag,
      drain_problem: "reason" in drain ? drain.reason : null,
      depth: queue.depth(),
      in_journal_only: queue.spilledCount(),
      capacity: options.queueCapacity,
      aside: queue.parked().reduce((sum, batch) => sum + batch.rows.length, 0),
      oldest_age_ms: oldest === undefined ? null : Math.max(0, clock.unsafeCurrentTimeMillis() - oldest),
      restarts: progress.restarts(),
      counters: {
        offered,
        committed: progress.committed(),
        deadLettered: progress.deadLettered(),
        refused,
        shed,
        passedOver: queue.unreadableCount(),
        notWithdrawn: log.notWithdrawn()
      },
      journal: journal === undefined || orphans === undefined ? null : journalStatus(journal, orphans),
      trail,
      adoptingCounts: orphans?.status().adopting?.counts ?? null
    }
  })
})

/** Since the start of the process: `offered = committed + dead_lettered + refused + shed + passed_over + pending`. */
const offered = Metric.gauge("audit_events_offered", { description: "Events that were to be recorded" })
const committed = Metric.gauge("audit_events_committed", { description: "Events in audit_log" })
const deadLettered = Metric.gauge("audit_events_dead_lettered", { description: "Events in audit_dead_letter" })
const refused = Metric.gauge("audit_events_refused", { description: "Events refused: answered 503" })
const shed = Metric.gauge("audit_events_shed", { description: "Events answered without a record" })
const passedOver = Metric.gauge("audit_events_passed_over", { description: "Events damaged in the journal" })
const pending = Metric.gauge("audit_events_pending", { description: "Events that wait for the database" })
const oldestPending = Metric.gauge("audit_oldest_pending_seconds", { description: "Age of the oldest of them" })
const journalBytes = Metric.gauge("audit_journal_bytes", { description: "Size of the journals of this process" })
/** 1 while the condition lasts. */
const refusing = Metric.gauge("audit_refusing", { description: "The trail takes no events" })
const drainTroubled = Metric.gauge("audit_drain_troubled", {
  description: "The drain retries, is paused or dead"
})

const setMetrics = (status: AuditStatus) =>
  Effect.all(
    [
      Metric.set(offered, status.counters.offered),
      Metric.set(committed, status.counters.committed),
      Metric.set(deadLettered, status.counters.deadLettered),
      Metric.set(refused, status.counters.refused),
      Metric.set(shed, status.counters.shed),
      Metric.set(passedOver, status.counters.passedOver),
      Metric.set(pending, status.depth),
      Metric.set(oldestPending, (status.oldest_age_ms ?? 0) / 1_000),
      Metric.set(journalBytes, status.journal?.bytes ?? 0),
      Metric.set(refusing, status.accepting ? 0 : 1),
      Metric.set(drainTroubled, status.drain_problem === null ? 0 : 1)
    ],
    { discard: true }
  )

/** Updates the metrics from the status each second, outside the hot path. */
export const publishMetrics = (status: Effect.Effect<AuditStatus>): Effect.Effect<void> =>
  Effect.asVoid(Effect.repeat(Effect.flatMap(status, setMetrics), Schedule.spaced("1 second")))
