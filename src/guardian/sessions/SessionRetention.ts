import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { AuditLog } from "../../audit/AuditLog.ts"
import { decodedRows, GuardianDatabase } from "../GuardianDatabase.ts"

/** Sessions that one statement removes, in a transaction of its own. */
export const removalBatch = 500

/**
 * Removes sessions that ended long ago, the oldest first, and adds the completed ones to the sums of their agents. `clock_timestamp()` is
 * volatile, so with it the index would be read to its end.
 */
export const removeEnded = `
  with old as (
    select id from guardian.session
    where ended_at < statement_timestamp() - make_interval(secs => $1::float8)
    order by ended_at
    limit ${removalBatch}
    for update skip locked
  ),
  removed as (
    delete from guardian.session using old where session.id = old.id
    returning session.agent, session.end_reason, session.ended_at - session.started_at as duration
  ),
  summed as (
    -- In the order of the agents, so that two guardians do not wait for each other.
    insert into guardian.removed_sessions as sums (agent, completed, duration)
    select agent, count(*), sum(duration) from removed where end_reason = 'completed' group by agent order by agent
    on conflict (agent) do update
      set completed = sums.completed + excluded.completed, duration = sums.duration + excluded.duration
  )
  select count(*)::int as count from removed`

const decodeRemoved = decodedRows(Schema.Struct({ count: Schema.Number }))

/** Removes up to `removalBatch` sessions that ended longer ago; returns how many. The statistics keep counting them. */
export const removeSessions = Effect.fn("removeSessions")(function* (endedFor: Duration.Duration) {
  const { transaction } = yield* GuardianDatabase
  // A statement of the pool that is answered late would be carried out, and not recorded.
  const removed = transaction((connection) => connection.query(removeEnded, [Duration.toSeconds(endedFor)]))
  const [row] = yield* decodeRemoved(Effect.map(removed, ({ rows }) => rows))
  return row?.count ?? 0
})

/** The time between two searches: a tenth of the retention. */
const removalInterval = (retention: Duration.Duration): Duration.Duration =>
  Duration.clamp(Duration.times(retention, 0.1), { minimum: "1 minute", maximum: "1 hour" })

/** Between two batches, so that a backlog does not hold up what agents ask. */
const pause = "100 millis"

/**
 * Removes sessions that ended longer ago than `retention`, as long as the scope lives. Several guardians may do it at once. Each batch has
 * a row in the trail, which has the sessions' own rows too.
 */
export const sessionRetention = (retention: Duration.Duration) =>
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const trail = yield* AuditLog

      const record = (count: number) =>
        trail
          .record({
            action: "session.remove",
            resource: "sessions",
            // No caller asked for it.
            ghostId: null,
            shellId: null,
            result: "ALLOWED",
            reason: `they ended more than ${Duration.format(retention)} ago (GUARDIAN_SESSION_RETENTION)`,
            requestId: null,
            facts: { count }
          })
          .pipe(
            Effect.catchTag("AuditUnavailable", ({ message }) =>
              Effect.logError(
                `ALARM: ${count} sessions that ended were removed, and the trail cannot record it: ${message}`
              )
            )
          )

      const batch = Effect.gen(function* () {
        if (!(yield* trail.accepting)) return 0
        const count = yield* removeSessions(retention)
        if (count > 0) yield* record(count)
        return count
      }).pipe(Effect.uninterruptible)

      yield* batch.pipe(
        Effect.repeat({ schedule: Schedule.spaced(pause), while: (count) => count === removalBatch }),
        Effect.catchAllCause((cause) =>
          Effect.logWarning("Sessions that ended long ago could not be removed; it is tried again.", cause)
        ),
        Effect.repeat(Schedule.spaced(removalInterval(retention))),
        Effect.forkScoped
      )
    })
  )
