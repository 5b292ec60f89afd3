import { createHash } from "node:crypto"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { AuditLog } from "../../audit/AuditLog.ts"
import { ClientSettings } from "../../clients/ClientSettings.ts"
import { GatekeeperClient, type NotAuthorized } from "../../clients/GatekeeperClient.ts"
import type { PeerUnavailable } from "../../clients/PeerCall.ts"
import { Stops } from "../../clients/Stops.ts"
import { bearerClaims } from "../../clients/TokenClaims.ts"
import {
  KeepSessions,
  type SessionLost,
  SessionsKept,
  sessionResource
} from "../../contracts/guardian/GuardianSchemas.ts"
import { describeStop, sessionStop, tokenStop } from "../../domain/Stops.ts"
import type { Failure } from "../../platform/http/Audited.ts"
import {
  bearerChallenge,
  type JsonResponse,
  jsonResponse,
  type Refusal,
  refusalJson
} from "../../platform/http/ErrorResponse.ts"
import type { JsonOperation, JsonRequest } from "../../platform/http/FastLane.ts"
import { Certificates } from "../certificates/Certificates.ts"
import { GuardianAccess } from "../GuardianAccess.ts"
import { type AgentSession, type KeptSession, type SessionRow, Sessions, sessionState } from "./Sessions.ts"

/** How long the gatekeeper's permission is valid, for the token that it was given to; it asks and records once a minute. */
const leaseMillis = 60_000

const decode = Schema.decodeUnknownEither(KeepSessions)
const encode = Schema.encodeSync(Schema.parseJson(SessionsKept))

/** Names a session in a map. An agent is one segment, so no two sessions have the same. */
const keyOf = ({ agent, sessionId }: AgentSession): string => sessionResource(agent, sessionId)

const lost = (
  { agent, sessionId }: AgentSession,
  code: (typeof SessionLost.Type)["code"],
  reason: string
): typeof SessionLost.Type => ({ agent, session_id: sessionId, code, reason })

/** Why a session is over, as far as its row and the stops say; undefined where it runs on. */
const lossOf = (
  named: AgentSession,
  session: KeptSession | undefined,
  stops: typeof Stops.Service
): typeof SessionLost.Type | undefined => {
  const quoted = JSON.stringify(named.sessionId)
  if (session === undefined) return lost(named, "session_not_found", `there is no session ${quoted}`)
  if (session.endedAt !== null) return lost(named, "session_over", `the session ${quoted} ${sessionState(session)}`)
  const started = { id: named.sessionId, issuedAt: session.startedAt.epochMillis }
  const stop = sessionStop(stops.list(), session.agent, started)
  return stop === undefined ? undefined : lost(named, "session_over", describeStop(stop))
}

const sessionsOf = (given: (typeof KeepSessions.Type)["alive"]): ReadonlyArray<AgentSession> =>
  given.map(({ agent, session_id: sessionId }) => ({ agent, sessionId }))

/**
 * Keeps the sessions of a process: one statement for all of them, no question about their agents and no rows in the trail. A session
 * whose certificate has ended runs on while its agent has another.
 */
const makeKeeper = (timeout: Duration.Duration) =>
  Effect.map(Effect.all([Sessions, Certificates, Stops, AuditLog]), ([sessions, certificates, stops, trail]) => {
    const certificateProblem = (agent: string) =>
      certificates.inForce(agent).pipe(
        Effect.as(undefined),
        Effect.catchTag("NotCertified", ({ message }) => Effect.succeed(message))
      )

    const recordDone = (session: SessionRow, by: string) =>
      trail
        .record({
          action: "session.end",
          resource: sessionResource(session.agent, session.sessionId),
          ghostId: by,
          shellId: null,
          result: "ALLOWED",
          reason: `the session ${sessionState(session)}`,
          requestId: session.requestId
        })
        .pipe(
          Effect.catchTag("AuditUnavailable", ({ message }) =>
            Effect.logError(`ALARM: the session ${session.sessionId} ended, and the trail cannot record it: ${message}`)
          )
        )

    return Effect.fnUntraced(function* (given: typeof KeepSessions.Type, by: string) {
      const ended = yield* sessions.finish(sessionsOf(given.done))
      yield* Effect.forEach(ended, (session) => recordDone(session, by), { discard: true })
      const alive = sessionsOf(given.alive)
      const rows = new Map((yield* sessions.keep(alive, timeout)).map((row) => [keyOf(row), row]))
      const uncertified = new Set([...rows.values()].flatMap((row) => (row.isCertified ? [] : [row.agent])))
      const problems = new Map(
        yield* Effect.forEach(
          uncertified,
          (agent) => Effect.map(certificateProblem(agent), (problem) => [agent, problem] as const),
          { concurrency: 4 }
        )
      )
      const over = alive.flatMap((named) => {
        const row = rows.get(keyOf(named))
        const problem = problems.get(row?.agent ?? "")
        const uncertain = problem === undefined ? [] : lost(named, "not_certified", problem)
        return lossOf(named, row, stops) ?? uncertain
      })
      return { over }
    })
  })

type Keeper = Effect.Effect.Success<ReturnType<typeof makeKeeper>>

/** What a request says, or why it is malformed. */
const decoded = ({ body }: JsonRequest) =>
  Either.flatMap(body, (value) =>
    Either.mapLeft(decode(value), ({ message }) => ({ code: "invalid_request" as const, message }))
  )

/** Answers for a caller that may ask, named `by`. */
const answerFor = (keep: Keeper, sessions: typeof KeepSessions.Type, { requestId }: JsonRequest, by: string) =>
  keep(sessions, by).pipe(
    Effect.map((kept) => jsonResponse(encode(kept))),
    Effect.catchTag("DatabaseUnavailable", ({ code, message }) =>
      Effect.succeed(refusalJson({ code, message }, requestId))
    )
  )

const resource = "services/sessions"

/**
 * `POST /sessions/keep`. Over HTTP the gatekeeper says whether the caller is a service, once a minute for each token. A call in this
 * process needs no token: only the program itself can make it.
 */
export const keepSessions = (timeout: Duration.Duration) =>
  Effect.gen(function* () {
    const keep = yield* makeKeeper(timeout)
    const gatekeeper = yield* GatekeeperClient
    const access = yield* GuardianAccess
    const stops = yield* Stops
    const tolerance = Duration.toMillis((yield* ClientSettings).clockTolerance)
    const leases = new Map<string, { readonly ghostId: string; readonly until: number }>()

    const authorize = Effect.fnUntraced(function* ({ authorization, requestId }: JsonRequest) {
      const now = yield* Clock.currentTimeMillis
      const key = createHash("sha256")
        .update(authorization ?? "")
        .digest("base64")
      const lease = leases.get(key)
      const { expiresAt = Number.POSITIVE_INFINITY, ...token } = bearerClaims(authorization)
      const isLeased = lease !== undefined && now < lease.until && lease.until - now <= leaseMillis
      if (isLeased && tokenStop(stops.list(), lease.ghostId, token, tolerance) === undefined) return lease.ghostId
      const { ghostId } = yield* gatekeeper.authorize({
        authorization,
        requestId,
        addressee: "guardian",
        action: "execute",
        resource,
        metadata: { service: "guardian", event: "sessions.keep" }
      })
      for (const [other, { until }] of leases) if (until <= now) leases.delete(other)
      leases.set(key, { ghostId, until: Math.min(now + leaseMillis, expiresAt) })
      return ghostId
    })

    const refuseMalformed = ({ authorization, requestId }: JsonRequest, problem: Failure) =>
      access.refuseMalformed(
        { authorization, requestId, event: "session.keep", action: "execute", resource, facts: {} },
        problem
      )

    const overHttp: JsonOperation = (request) =>
      Effect.suspend((): Effect.Effect<JsonResponse, Refusal | NotAuthorized | PeerUnavailable> => {
        const sessions = decoded(request)
        return Either.isLeft(sessions)
          ? refuseMalformed(request, sessions.left)
          : Effect.flatMap(authorize(request), (ghostId) => answerFor(keep, sessions.right, request, ghostId))
      }).pipe(
        Effect.catchTags({
          Refusal: (refusal) => Effect.succeed(refusalJson(refusal, request.requestId)),
          NotAuthorized: ({ auditId, code, reason }) =>
            Effect.succeed(
              refusalJson(
                { code, message: reason, auditId, headers: code === "unauthenticated" ? bearerChallenge(reason) : {} },
                request.requestId
              )
            ),
          PeerUnavailable: ({ message }) =>
            Effect.succeed(refusalJson({ code: "peer_unavailable", message }, request.requestId))
        })
      )
    const inProcess: JsonOperation = (request) =>
      Either.match(decoded(request), {
        onLeft: ({ code, message }) => Effect.succeed(refusalJson({ code, message }, request.requestId)),
        onRight: (sessions) => answerFor(keep, sessions, request, "service:router")
      })
    return { overHttp, inProcess }
  })
