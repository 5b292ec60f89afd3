import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { DatabaseError } from "../platform/DatabaseError.ts"
import { AuditStore, type Incarnation } from "./AuditStore.ts"
import { wordsOf } from "./Drain.ts"

const interval = Duration.hours(1)
const pauseAfterFailure = Duration.minutes(1)

/** Until it succeeds, with a line for each failure. */
const insist = (what: string, task: Effect.Effect<void, DatabaseError>) =>
  task.pipe(
    Effect.tapError((error) =>
      Effect.logWarning(
        `${what}: ${wordsOf(error)}; trying again in ${Duration.format(pauseAfterFailure)}. No event waits for it.`
      )
    ),
    Effect.retry(Schedule.spaced(pauseAfterFailure)),
    Effect.ignore
  )

/**
 * Makes the incarnation known and the partitions of the months to come, beside the drain: no event waits for either, since a
 * row without a source makes one and a row without a partition has it made.
 */
export const make = (incarnation: Incarnation) =>
  Effect.map(AuditStore, (store) =>
    insist("The audit trail's incarnation is not registered", store.register(incarnation)).pipe(
      Effect.zipRight(
        Effect.repeat(
          insist("Audit partitions were not made ahead", store.makePartitionsAhead),
          Schedule.spaced(interval)
        )
      ),
      Effect.asVoid
    )
  )
