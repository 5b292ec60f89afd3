import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { AuditStore, type Incarnation } from "../store/AuditStore.ts"
import { describe } from "../store/RetryClass.ts"

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
export const make = (incarnation: Incarnation) =>
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
