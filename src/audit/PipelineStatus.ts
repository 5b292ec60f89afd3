import * as Effect from "effect/Effect"
import { durabilitiesText } from "../domain/Durability.ts"
import type { AuditLogOptions } from "./AuditLogOptions.ts"
import type { AuditStatus } from "./AuditStatus.ts"
import { Recorder } from "./queue/Recorder.ts"
import { WriteQueue } from "./queue/WriteQueue.ts"
import { Recovery } from "./recovery/Recovery.ts"
import { ProcessJournal } from "./store/ProcessJournal.ts"
import { RunningBatchWriter } from "./writer/BatchWriter.ts"

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

  return Effect.sync((): AuditStatus => {
    const { offered, refused, shed } = recorder.counts()
    const oldest = queue.oldest()
    const kept = journal?.status()
    return {
      mode,
      source: incarnation.source,
      trail,
      accepting: log.accepting(),
      depth: queue.depth(),
      beyond: queue.spilledCount(),
      capacity: options.queueCapacity,
      aside: queue.parked().reduce((sum, batch) => sum + batch.rows.length, 0),
      pendingSize: queue.pendingSize(),
      oldestPendingMillis: oldest === undefined ? null : Math.max(0, clock.unsafeCurrentTimeMillis() - oldest),
      counters: {
        offered,
        committed: progress.committed(),
        deadLettered: progress.deadLettered(),
        refused,
        shed,
        passedOver: queue.unreadableCount(),
        notWithdrawn: log.notWithdrawn()
      },
      drain: progress.state(),
      restarts: progress.restarts(),
      journal:
        journal === undefined || kept === undefined || orphans === undefined
          ? null
          : {
              path: journal.path,
              bytes: kept.bytes,
              maxBytes: kept.maxBytes,
              segments: kept.segments,
              problem: kept.problem,
              readProblem: kept.readProblem,
              quarantined: kept.quarantined,
              others: orphans.status()
            }
    }
  })
})
