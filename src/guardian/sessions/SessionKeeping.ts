import { createHash } from "node:crypto"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { AuditLog } from "../../audit/AuditLog.ts"
import { ClientSettings } from "../../clients/ClientSettings.ts"
import { GatekeeperClient } from "../../clients/GatekeeperClient.ts"
import { Stops } from "../../clients/Stops.ts"
import { bearerClaims } from "../../clients/TokenClaims.ts"
import {
  KeepSessions,
  type SessionLost,
  SessionsKept,
  sessionResource
} from "../../contracts/guardian/GuardianSchemas.ts"
import { describeStop, sessionStop, tokenStop } from "../../domain/Stops.ts"
import { bearerChallenge, jsonResponse, type RefusalFields, refusalJson } from "../../platform/http/ErrorResponse.ts"
import type { JsonOperation, JsonRequest } from "../../platform/http/FastLane.ts"
import { Certificates } from "../certificates/Certificates.ts"
import { type KeptSession, type SessionRow, Sessions, sessionState } from "./Sessions.ts"

/** How long the gatekeeper's permission is valid, for the token that it was given to; it asks and records once a minute. */
const leaseMillis = 60_000

const decode = Schema.decodeUnknownEither(KeepSessions)
const encode = Schema.encodeSync(Schema.parseJson(SessionsKept))

const lost = (
  session_id: string,
  code: (typeof SessionLost.Type)["code"],
  reason: string
): typeof SessionLost.Type => ({
  session_id,
  code,
  reason
})

/** Why a session is over, as far as its row and the stops say; undefined where it runs on. */
const lossOf = (
  sessionId: string,
  session: KeptSession | undefined,
  stops: typeof Stops.Service
): typeof SessionLost.Type | undefined => {
  const quoted = JSON.stringify(sessionId)
  if (session === undefined) return lost(sessionId, "session_not_found", `there is no session ${quoted}`)
  if (session.endedAt !== null) return lost(sessionId, "session_over", `the session ${quoted} ${sessionState(session)}`)
  const stop = sessionStop(stops.list(), session.agent, { id: sessionId, issuedAt: session.startedAt.epochMillis })
  return stop === undefined ? undefined : lost(sessionId, "session_over", describeStop(stop))
}

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

    return Effect.fnUntraced(function* ({ alive, done }: typeof KeepSessions.Type, by: string) {
      const ended = yield* sessions.finish(done)
      yield* Effect.forEach(ended, (session) => recordDone(session, by), { discard: true })
      const rows = new Map((yield* sessions.keep(alive, timeout)).map((row) => [row.sessionId, row]))
      const uncertified = new Set([...rows.values()].flatMap((row) => (row.isCertified ? [] : [row.agent])))
      const problems = new Map(
        yield* Effect.forEach(
          uncertified,
          (agent) => Effect.map(certificateProblem(agent), (problem) => [agent, problem] as const),
          { concurrency: 4 }
        )
      )
      const over = alive.flatMap((id) => {
        const row = rows.get(id)
        const problem = problems.get(row?.agent ?? "")
        const loss = lossOf(id, row, stops) ?? (problem === undefined ? undefined : lost(id, "not_certified", problem))
        return loss ?? []
      })
      return { over }
    })
  })

type Keeper = Effect.Effect.Success<ReturnType<typeof makeKeeper>>

/** Answers for a caller that may ask, named `by`. */
const answerFor = (keep: Keeper, { body, requestId }: JsonRequest, by: string) => {
  const refuse = (refusal: RefusalFields) => Effect.succeed(refusalJson(refusal, requestId))
  const decoded = Either.flatMap(body, (value) =>
    Either.mapLeft(decode(value), ({ message }) => ({ code: "invalid_request" as const, message }))
  )
  return Either.isLeft(decoded)
    ? refuse({ code: decoded.left.code, message: decoded.left.message })
    : keep(decoded.right, by).pipe(
        Effect.map((kept) => jsonResponse(encode(kept))),
        Effect.catchTag("DatabaseUnavailable", ({ code, message }) => refuse({ code, message }))
      )
}

/**
 * `POST /sessions/keep`. Over HTTP the gatekeeper says whether the caller is a service, once a minute for each token. A call in this
 * process needs no token: only the program itself can make it.
 */
export const keepSessions = (timeout: Duration.Duration) =>
  Effect.gen(function* () {
    const keep = yield* makeKeeper(timeout)
    const gatekeeper = yield* GatekeeperClient
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
        resource: "services/sessions",
        metadata: { service: "guardian", event: "sessions.keep" }
      })
      for (const [other, { until }] of leases) if (until <= now) leases.delete(other)
      leases.set(key, { ghostId, until: Math.min(now + leaseMillis, expiresAt) })
      return ghostId
    })

    const overHttp: JsonOperation = (request) =>
      authorize(request).pipe(
        Effect.flatMap((ghostId) => answerFor(keep, request, ghostId)),
        Effect.catchTags({
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
    const inProcess: JsonOperation = (request) => answerFor(keep, request, "service:router")
    return { overHttp, inProcess }
  })
