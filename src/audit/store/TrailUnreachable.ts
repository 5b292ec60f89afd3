import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { databaseError } from "../../platform/postgres/DatabaseError.ts"

const elsewhere =
  "This database has no audit trail: it is in that of the gatekeeper. Name that one by GATEKEEPER_DATABASE_URL, or run this where " +
  "the gatekeeper runs; a new database needs pnpm migrate first"

/** What to do about an error of the server that comes again. */
const remedies: Readonly<Record<string, string>> = {
  "42P01": elsewhere,
  "3F000": elsewhere,
  "42501": "Connect with the gatekeeper's role, or with the one that owns the schema"
}

/** The database did not answer a question about the trail. This is never reported as an empty result. */
export class TrailUnreachable extends Schema.TaggedError<TrailUnreachable>()("TrailUnreachable", {
  reason: Schema.String,
  sqlstate: Schema.optional(Schema.String)
}) {
  override get message(): string {
    const { reason, sqlstate } = this
    return `the audit trail cannot be read: ${reason}. ${remedies[sqlstate ?? ""] ?? "Check that PostgreSQL answers, then try again"}`
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
    Effect.mapError((cause) => {
      const { reason, sqlstate } = databaseError("statement", cause)
      return new TrailUnreachable({ reason, sqlstate })
    }),
    // A stopped server does not answer a cancel request either, so the caller waits for neither.
    Effect.disconnect,
    Effect.timeoutFail({
      duration: deadline,
      onTimeout: () => new TrailUnreachable({ reason: "the database did not answer in time" })
    }),
    Effect.flatMap((found) => Effect.orDie(Schema.decodeUnknown(rows)(found)))
  )
