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
import { monotonicMillis } from "../../platform/os/EventLoop.ts"
import { bounded, GuardianDatabase } from "../GuardianDatabase.ts"

/** Looks again so often: a certificate or a session may be committed just after a stop. It is also the pause between retries. */
const interval = "2 seconds"

const EndedRow = Schema.Struct({
  agent: Schema.String,
  kind: Schema.Literal("certificate", "session"),
  id: Schema.NullOr(Schema.String)
})
type EndedRow = typeof EndedRow.Type
const decodeRows = Schema.decodeUnknown(Schema.Array(EndedRow))

type GhostStops = StopList["ghosts"]

/** Milliseconds after which nothing is committed any more that was begun before a resume became known here. */
const settledAfter = 60_000

/**
 * The stops that have to be carried out. One that was lifted has nothing left to end, once it was carried out a while after that: else
 * every stop of the past would be looked for in the tables each time, for ever. Stops that last are never left out.
 */
export const openStops = () => {
  /** By the id of the stop: when its resume became known here, or that it is done. */
  let lifted = new Map<string, number | "done">()
  return {
    of: (ghosts: GhostStops, now: number): GhostStops => {
      const resumed = [...ghosts.values()].filter(({ isResumed }) => isResumed)
      lifted = new Map(resumed.map(({ stop }) => [stop.id, lifted.get(stop.id) ?? now]))
      return new Map([...ghosts].filter(([, { stop }]) => lifted.get(stop.id) !== "done"))
    },
    /** All that `of` returned at `now` was carried out. */
    carriedOut: (now: number): void => {
      for (const [id, since] of lifted) if (since !== "done" && now - since >= settledAfter) lifted.set(id, "done")
    }
  }
}

/** The stopped ghosts as JSON, for the statements below. */
const stoppedGhosts = (ghosts: GhostStops): string =>
  JSON.stringify(
    [...ghosts].map(([agent, { isResumed, stop }]) => ({
      agent,
      until: stop.at,
      lasts: !isResumed,
      by: stop.by,
      reason: stop.reason
    }))
  )

const stopped = `
  stopped as (
    select agent, to_timestamp(until / 1000.0) as until, lasts, by, reason
    from jsonb_to_recordset($1::jsonb) as given (agent text, until bigint, lasts boolean, by text, reason text)
  )`

const isCovered = {
  certificate: `certificate.agent = stopped.agent and revoked_at is null and expires_at > clock_timestamp()
    and issued_at <= stopped.until`,
  session: "session.agent = stopped.agent and ended_at is null and (stopped.lasts or started_at <= stopped.until)"
}

/** Whether a stop covers anything that is still in force. */
const anyInForce = `
  with ${stopped}
  select from stopped join guardian.certificate on ${isCovered.certificate}
  union all select from stopped join guardian.session on ${isCovered.session}
  limit 1`

/**
 * Revokes what was issued until the stop, and ends what was started until then; while the stop lasts, every session. A repeat changes
 * nothing, so several guardians may do it at once.
 */
const endCovered = `
  with ${stopped},
  revoked as (
    update guardian.certificate
    set revoked_at = clock_timestamp(), revoked_by = stopped.by, revoked_reason = stopped.reason
    from stopped where ${isCovered.certificate}
    returning certificate.agent, certificate.jti::text as id
  ),
  ended as (
    update guardian.session set ended_at = greatest(started_at, clock_timestamp()), end_reason = 'revoked'
    from stopped where ${isCovered.session}
    returning session.agent, session.session_id as id
  )
  select agent, 'certificate' as kind, id from revoked
  union all select agent, 'session' as kind, id from ended`

/** Carries out the stops in the guardian's tables, and records once for each agent what that ended. */
export const stopEnforcement = Layer.scopedDiscard(
  Effect.gen(function* () {
    const stops = yield* Stops
    const trail = yield* AuditLog
    const { sql, transaction } = yield* GuardianDatabase

    const record = (list: StopList, agent: string, rows: ReadonlyArray<EndedRow>) => {
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
          facts: {
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

    const open = openStops()
    let problem: string | undefined
    const carryOut = Effect.gen(function* () {
      const list = stops.list()
      const now = yield* monotonicMillis
      const ghosts = open.of(list.ghosts, now)
      if (ghosts.size === 0) return
      const given = stoppedGhosts(ghosts)
      const found = yield* bounded(sql.unsafe(anyInForce, [given]))
      // In a transaction of its own: a statement of the pool that is answered late would be carried out, and not recorded.
      const ended =
        found.length === 0 ? [] : (yield* transaction((connection) => connection.query(endCovered, [given]))).rows
      const rows = yield* Effect.orDie(decodeRows(ended))
      open.carriedOut(now)
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
