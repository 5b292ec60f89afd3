import type * as SqlClient from "@effect/sql/SqlClient"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { AuditLog } from "../../audit/AuditLog.ts"
import { Stops } from "../../clients/Stops.ts"
import { certificateResource } from "../../contracts/guardian/GuardianSchemas.ts"
import { describeStop, type StopList } from "../../domain/Stops.ts"
import { GuardianDatabase, rowsOf } from "../GuardianDatabase.ts"

/** Looks again so often: a certificate or a session may be committed just after a stop. It is also the pause between retries. */
const interval = "2 seconds"

const Ended = rowsOf(
  Schema.Struct({
    agent: Schema.String,
    kind: Schema.Literal("certificate", "session"),
    id: Schema.NullOr(Schema.String)
  })
)

/**
 * Revokes what was issued until the stop, and ends what was started until then; while the stop lasts, every session. A repeat changes
 * nothing, so several guardians may do it at once.
 */
const enforce = (sql: SqlClient.SqlClient, { ghosts }: StopList) => {
  const stopped = [...ghosts].map(([agent, { isResumed, stop }]) => ({
    agent,
    until: stop.at,
    lasts: !isResumed,
    by: stop.by,
    reason: stop.reason
  }))
  return Ended(sql`
    with stopped as (
      select agent, to_timestamp(until / 1000.0) as until, lasts, by, reason
      from jsonb_to_recordset(${JSON.stringify(stopped)}::jsonb)
        as given (agent text, until bigint, lasts boolean, by text, reason text)
    ),
    revoked as (
      update guardian.certificate
      set revoked_at = clock_timestamp(), revoked_by = stopped.by, revoked_reason = stopped.reason
      from stopped
      where certificate.agent = stopped.agent and revoked_at is null and expires_at > clock_timestamp()
        and issued_at <= stopped.until
      returning certificate.agent, certificate.jti::text as id
    ),
    ended as (
      update guardian.session set ended_at = greatest(started_at, clock_timestamp()), end_reason = 'revoked'
      from stopped
      where session.agent = stopped.agent and ended_at is null and (stopped.lasts or started_at <= stopped.until)
      returning session.agent, session.session_id as id
    )
    select agent, 'certificate' as kind, id from revoked
    union all select agent, 'session' as kind, id from ended`)
}

/** Carries out the stops in the guardian's tables, and records once for each agent what that ended. */
export const stopEnforcement = Layer.scopedDiscard(
  Effect.gen(function* () {
    const stops = yield* Stops
    const trail = yield* AuditLog
    const { sql } = yield* GuardianDatabase

    const record = (
      list: StopList,
      agent: string,
      rows: ReadonlyArray<{ readonly kind: string; readonly id: string | null }>
    ) => {
      const stop = list.ghosts.get(agent)?.stop
      const of = (kind: string) => rows.flatMap((row) => (row.kind === kind ? (row.id ?? []) : []))
      const [certificates, sessions] = [of("certificate"), of("session")]
      return trail
        .record({
          action: "certificate.revoke",
          resource: certificateResource(agent),
          ghostId: null,
          shellId: null,
          result: "ALLOWED",
          reason: stop === undefined ? null : describeStop(stop),
          requestId: null,
          metadata: {
            stop_id: stop?.id,
            certificates_revoked: certificates.length,
            certificates: certificates.slice(0, 20),
            sessions_ended: sessions.length,
            sessions: sessions.slice(0, 20)
          }
        })
        .pipe(
          Effect.catchTag("AuditUnavailable", ({ message }) =>
            Effect.logError(
              `ALARM: the stop of ${JSON.stringify(agent)} is carried out, and the trail cannot record it: ${message}`
            )
          )
        )
    }

    let problem: string | undefined
    const carryOut = Effect.gen(function* () {
      const list = stops.list()
      if (list.ghosts.size === 0) return
      const rows = yield* enforce(sql, list)
      problem = undefined
      const byAgent = Object.entries(Arr.groupBy(rows, ({ agent }) => agent))
      yield* Effect.forEach(byAgent, ([agent, own]) => record(list, agent, own), { discard: true })
    }).pipe(
      Effect.uninterruptible,
      Effect.catchAll(({ reason }) => {
        if (reason === problem) return Effect.void
        problem = reason
        return Effect.logWarning(`Stops cannot be carried out in the guardian's tables yet: ${reason}`)
      }),
      Effect.catchAllDefect((defect) => Effect.logError("Stops cannot be carried out", defect))
    )

    yield* Stream.merge(stops.changes, Stream.fromSchedule(Schedule.spaced(interval))).pipe(
      Stream.runForEach(() => carryOut),
      Effect.forkScoped
    )
  })
).pipe(Layer.provide(GuardianDatabase.layer))
