import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { databaseError } from "../../platform/postgres/DatabaseError.ts"

/** The database did not answer a question about the trail. This is never reported as an empty result. */
export class TrailUnreachable extends Schema.TaggedError<TrailUnreachable>()("TrailUnreachable", {
  reason: Schema.String
}) {
  override get message(): string {
    return `the audit trail cannot be read: ${this.reason}. Check that PostgreSQL answers, then try again`
  }
}

/**
 * Runs a query within a deadline and decodes its rows. Fails with `TrailUnreachable` when the database refuses or does not answer
 * in time; rows of another shape are a defect.
 */
export const boundedQuery = <A, I, E>(
  rows: Schema.Schema<A, I>,
  query: Effect.Effect<unknown, E>,
  deadline: Duration.DurationInput
) =>
  query.pipe(
    Effect.mapError((cause) => new TrailUnreachable({ reason: databaseError("statement", cause).reason })),
    // A stopped server does not answer a cancel request either, so the caller waits for neither.
    Effect.disconnect,
    Effect.timeoutFail({
      duration: deadline,
      onTimeout: () => new TrailUnreachable({ reason: "the database did not answer in time" })
    }),
    Effect.flatMap((found) => Effect.orDie(Schema.decodeUnknown(rows)(found)))
  )
