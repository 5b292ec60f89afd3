import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { AuditLog } from "../../audit/AuditLog.ts"
import { sessionResource } from "../../contracts/guardian/GuardianSchemas.ts"
import type { AuditEvent } from "../../domain/AuditEvent.ts"
import { expiryBatch, type SessionRow, Sessions } from "./Sessions.ts"

/** The time between two searches for stale sessions: a tenth of the timeout, so that a session ends soon after it became stale. */
const expiryInterval = (timeout: Duration.Duration): Duration.Duration =>
  Duration.clamp(Duration.times(timeout, 0.1), { minimum: "200 millis", maximum: "30 seconds" })

/** Rows that are recorded at once: where each waits for its commit, one after the other would delay the end of the process. */
const recordedAtOnce = 64

/** Of all sessions of one sweep together: they have ended already, and the end of the process waits for their rows. */
const retries = 2

const eventOf = (session: SessionRow, timeout: Duration.Duration): AuditEvent => ({
  action: "session.expire",
  resource: sessionResource(session.agent, session.sessionId),
  // No caller asked for it.
  ghostId: null,
  shellId: null,
  result: "DENIED",
  reason: `the session sent no heartbeat for ${Duration.format(timeout)}`,
  // Of the start, so that one search finds all of the session.
  requestId: session.requestId,
  facts: { last_seen_at: session.lastSeenAt.toJSON() }
})

/** Ends sessions that are silent for `timeout`, as long as the scope lives. Several guardians may do it at once. */
export const sessionExpiry = (timeout: Duration.Duration) =>
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const trail = yield* AuditLog

      const record = (expired: ReadonlyArray<SessionRow>) => {
        let retriesLeft = retries
        return Effect.forEach(
          expired,
          (session) =>
            trail.record(eventOf(session, timeout)).pipe(
              Effect.retry({ schedule: Schedule.spaced("1 second"), while: () => retriesLeft-- > 0 }),
              Effect.catchTag("AuditUnavailable", ({ message }) =>
                Effect.logError(
                  `ALARM: the session ${session.sessionId} expired, and the trail cannot record it: ${message}`
                )
              )
            ),
          { concurrency: recordedAtOnce, discard: true }
        )
      }

      const sweep = Effect.gen(function* () {
        // A session whose end cannot be recorded goes on for now.
        if (!(yield* trail.accepting)) return 0
        const expired = yield* sessions.expire(timeout)
        yield* record(expired)
        if (expired.length > 0) yield* Effect.logInfo(`${expired.length} sessions expired.`)
        return expired.length
      }).pipe(Effect.uninterruptible, Effect.repeat({ while: (count) => count === expiryBatch }))
      yield* sweep.pipe(
        Effect.catchAllCause((cause) =>
          Effect.logWarning("Stale sessions could not be looked for; the search is repeated.", cause)
        ),
        Effect.repeat(Schedule.spaced(expiryInterval(timeout))),
        Effect.forkScoped
      )
    })
  )
