import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { AuditStore, type Incarnation } from "../store/AuditStore.ts"
import { describe } from "./BatchWriter.ts"

const partitionInterval = Duration.hours(1)
const heartbeatInterval = Duration.minutes(1)
const pauseAfterFailure = Duration.minutes(1)

/** Until it succeeds, with a line for each failure. */
const insist = (what: string, task: Effect.Effect<void, DatabaseError>) =>
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
 * Makes the incarnation and the partitions of the months to come known, and says each minute that it lives; beside the drain: no
 * event waits for any of it, since a row without a source makes one and a row without a partition has it made.
 */
export const make = (incarnation: Incarnation) =>
  Effect.map(AuditStore, (store) => {
    const heartbeat = Effect.ignore(store.heartbeat(incarnation)).pipe(Effect.delay(heartbeatInterval))
    const partitions = insist("Audit partitions were not made ahead", store.makePartitionsAhead)
    return insist("The audit trail's incarnation is not registered", store.register(incarnation)).pipe(
      Effect.zipRight(
        Effect.all([Effect.forever(heartbeat), Effect.repeat(partitions, Schedule.spaced(partitionInterval))], {
          concurrency: "unbounded",
          discard: true
        })
      )
    )
  })
