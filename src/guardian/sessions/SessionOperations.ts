import * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { bearerClaims } from "../../clients/TokenClaims.ts"
import { InvalidRequest } from "../../contracts/ApiError.ts"
import { pageOf } from "../../contracts/Fields.ts"
import * as Api from "../../contracts/guardian/GuardianApi.ts"
import { maximumName, sessionResource } from "../../contracts/guardian/GuardianSchemas.ts"
import { nameProblem } from "../../domain/Spelling.ts"
import { certifiedUntil } from "../certificates/CertificateOperations.ts"
import { type ActiveCertificate, Certificates, type NotCertified } from "../certificates/Certificates.ts"
import { audited, type Caller, type Recorded } from "../GuardianAccess.ts"
import { DatabaseUnavailable } from "../GuardianDatabase.ts"
import { boundMetadata, type KeptMetadata } from "./SessionMetadata.ts"
import { type SessionRow, Sessions, sessionState, sessionView } from "./Sessions.ts"
import { Statistics } from "./Statistics.ts"

const notFound = (sessionId: string) =>
  new Api.SessionNotFound({ reason: `there is no session ${JSON.stringify(sessionId)}` })

const ambiguous = (sessionId: string) =>
  new Api.SessionAmbiguous({ reason: `several agents have a session ${JSON.stringify(sessionId)}: say "agent"` })

interface Named {
  readonly resource: string
  /** The session, once the caller may know of it. */
  readonly session: Effect.Effect<SessionRow, Api.SessionNotFound | Api.SessionAmbiguous>
}

/** Not that of any agent's session: a name may hold "/". */
const unknownResource = (sessionId: string): string => (sessionId.includes("/") ? "sessions" : `sessions/${sessionId}`)

/**
 * Finds the session that a request names. Without `agent` it is the caller's own, else the only one of that name. The resource of a
 * session that is not found, or of several, is its name: a caller learns of no other agent's names.
 *
 * The caller's name is not verified yet. It only chooses whose permission the gatekeeper is asked for, and that verifies the token.
 */
const findNamed = (
  sessions: typeof Sessions.Service,
  { agent, session_id: sessionId }: { readonly agent?: string | undefined; readonly session_id: string },
  authorization: string | undefined
): Effect.Effect<Named, DatabaseUnavailable> => {
  const caller = Option.getOrUndefined(
    Option.filter(
      Option.fromNullable(bearerClaims(authorization).subject),
      (name) => nameProblem(name, maximumName) === undefined
    )
  )
  const found =
    agent === undefined
      ? sessions.named(sessionId, caller)
      : Effect.map(sessions.find({ agent, sessionId }), (one) => (one === undefined ? [] : [one]))
  return Effect.map(found, ([first, second]): Named => {
    const owner = agent ?? (second === undefined || first?.agent === caller ? first?.agent : undefined)
    const resource = owner === undefined ? unknownResource(sessionId) : sessionResource(owner, sessionId)
    if (first === undefined) return { resource, session: notFound(sessionId) }
    return owner === undefined
      ? { resource, session: ambiguous(sessionId) }
      : { resource, session: Effect.succeed(first) }
  })
}

interface Started extends Recorded {
  readonly body: { readonly allowed: true; readonly reason: string }
}

interface Start {
  readonly agent: string
  readonly sessionId: string
  readonly kept: KeptMetadata
}

/** How often a start is tried again, where its certificate ceased to be in force meanwhile. */
const startRetries = 2

const startWith = (certificates: typeof Certificates.Service, sessions: typeof Sessions.Service) => {
  const attempt = (
    { agent, kept, sessionId }: Start,
    requestId: string,
    retriesLeft: number,
    recent?: ActiveCertificate
  ): Effect.Effect<Started, NotCertified | Api.SessionExists | DatabaseUnavailable> =>
    Effect.gen(function* () {
      const certificate = recent ?? (yield* certificates.inForce(agent))
      const starting = { agent, sessionId, certificate, requestId, metadata: kept.metadata }
      if (yield* sessions.start(starting)) {
        return {
          body: { allowed: true, reason: `${agent} is ${certifiedUntil(certificate)}` },
          reason: certifiedUntil(certificate),
          facts: {
            certificate_id: certificate.claims.jti,
            ...(kept.dropped.length === 0 ? {} : { dropped: kept.dropped })
          },
          ...(kept.marks === undefined ? {} : { marks: kept.marks }),
          compensate: sessions.withdraw(starting)
        }
      }
      const existing = yield* sessions.find(starting)
      if (existing !== undefined) {
        return yield* new Api.SessionExists({
          reason: `the session ${JSON.stringify(sessionId)} ${sessionState(existing)}; an agent uses a name once`
        })
      }
      // The certificate ceased to be in force in between: the next look says why, or finds another.
      if (retriesLeft > 0) return yield* attempt({ agent, kept, sessionId }, requestId, retriesLeft - 1)
      // The statement reached the server too late each time: the server is slow, or the rows are locked.
      return yield* new DatabaseUnavailable({
        reason: "it did not start the session in time, nor did another guardian"
      })
    })
  // The caller has often asked for the certificate a moment ago. The statement that starts the session checks it again.
  return (starting: Start, requestId: string) =>
    Effect.flatMap(certificates.recent(starting.agent), (recent) =>
      attempt(starting, requestId, recent === undefined ? startRetries : startRetries + 1, recent)
    )
}

const start = Effect.flatMap(Effect.all([Certificates, Sessions]), ([certificates, sessions]) => {
  const run = startWith(certificates, sessions)
  return audited(Api.startSession, {
    event: "session.start",
    action: "execute",
    fallbackResource: "sessions",
    target: ({ payload: { agent, metadata, session_id: sessionId } }) =>
      Either.mapBoth(boundMetadata(metadata), {
        onLeft: (reason) => new InvalidRequest({ reason }),
        onRight: (kept) => ({
          resource: sessionResource(agent, sessionId),
          run: ({ requestId }: Caller) => run({ agent, kept, sessionId }, requestId)
        })
      })
  })
})

const activeOrFail = (session: SessionRow) =>
  session.endedAt === null
    ? Effect.succeed(session)
    : Effect.fail(
        new Api.SessionOver({
          reason: `the session ${JSON.stringify(session.sessionId)} ${sessionState(session)}; start another`
        })
      )

/** `timeout`: a session that is silent for so long is ended by `sessionExpiry`. */
const heartbeat = (timeout: Duration.Duration) =>
  Effect.flatMap(Effect.all([Certificates, Sessions]), ([certificates, sessions]) =>
    audited(Api.heartbeat, {
      event: "session.heartbeat",
      action: "execute",
      fallbackResource: "sessions",
      target: ({ payload }, { authorization }) =>
        Effect.map(findNamed(sessions, payload, authorization), ({ resource, session }) => ({
          resource,
          run: () =>
            Effect.gen(function* () {
              const { agent, sessionId } = yield* Effect.flatMap(session, activeOrFail)
              const certificate = yield* certificates.inForce(agent)
              const { lastSeenAt } = yield* Effect.flatMap(
                Effect.filterOrFail(
                  sessions.beat({ sessionId, agent }),
                  (row) => row !== undefined,
                  () => notFound(sessionId)
                ),
                activeOrFail
              )
              return {
                body: {
                  session_id: sessionId,
                  last_seen_at: DateTime.formatIso(lastSeenAt),
                  expires_at: DateTime.formatIso(DateTime.addDuration(lastSeenAt, timeout))
                },
                reason: certifiedUntil(certificate)
              }
            })
        }))
    })
  )

const end = Effect.flatMap(Sessions, (sessions) =>
  audited(Api.endSession, {
    event: "session.end",
    action: "execute",
    fallbackResource: "sessions",
    target: ({ payload }, { authorization }) =>
      Effect.map(findNamed(sessions, payload, authorization), (named) => ({
        resource: named.resource,
        run: () =>
          Effect.gen(function* () {
            const { agent, sessionId } = yield* named.session
            const session = yield* sessions.end({ sessionId, agent }, payload.output_file ?? null)
            if (session?.endedAt == null || session.endReason === null) return yield* notFound(sessionId)
            return {
              body: {
                session_id: sessionId,
                ended_at: DateTime.formatIso(session.endedAt),
                end_reason: session.endReason
              },
              reason: `the session ${sessionState(session)}`,
              compensate: "final"
            } as const
          })
      }))
  })
)

const resourceOfList = (agent: string | undefined): string => (agent === undefined ? "sessions" : `sessions/${agent}`)

const list = Effect.flatMap(Sessions, (sessions) =>
  audited(Api.sessions, {
    event: "session.list",
    action: "read",
    fallbackResource: "sessions",
    target: ({ urlParams: { active, agent, cursor, limit } }) =>
      Effect.succeed({
        resource: resourceOfList(agent),
        run: () =>
          Effect.map(sessions.list({ agent, active, before: cursor, limit: limit + 1 }), (rows) => {
            const { next, page } = pageOf(rows, limit, ({ no }) => no)
            return { body: { sessions: page.map(sessionView), next }, reason: `${page.length} sessions` }
          })
      })
  })
)

const stats = Effect.flatMap(Statistics, (statistics) =>
  audited(Api.stats, {
    event: "session.stats",
    action: "read",
    fallbackResource: "sessions",
    target: ({ urlParams: { agent, cursor, limit } }) =>
      Effect.succeed({
        resource: resourceOfList(agent),
        run: () =>
          agent === undefined
            ? Effect.map(statistics.page({ after: cursor, limit: limit + 1 }), (rows) => {
                const { next, page } = pageOf(rows, limit, (row) => row.agent)
                return { body: { agents: page, next }, reason: `statistics of ${page.length} agents` }
              })
            : Effect.map(statistics.of(agent), (body) => ({ body, reason: "statistics of one agent" }))
      })
  })
)

export const sessionRoutes = (timeout: Duration.Duration) =>
  Effect.all([start, heartbeat(timeout), end, list, stats], { discard: true })
