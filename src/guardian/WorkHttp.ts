import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { GuardianApi } from "../contracts/guardian/GuardianApi.ts"
import { answering, type Done, Refused, type Task } from "./Answering.ts"
import { isoOfSeconds } from "./certificates/CertificateRow.ts"
import { Certificates, type InForce } from "./certificates/Certificates.ts"
import { certificateResource, sessionResource } from "./Names.ts"
import { bodyOf } from "./Reading.ts"
import { parseAgent, parseEnd, parseSession, parseStart, type StartRequest } from "./RequestBodies.ts"
import { DatabaseUnavailable } from "./Store.ts"
import { type SessionRow, sessionState } from "./sessions/SessionRow.ts"
import { Sessions } from "./sessions/Sessions.ts"

const unknownSession = (sessionId: string) =>
  new Refused({ code: "session_not_found", reason: `there is no session ${JSON.stringify(sessionId)}` })

const until = ({ claims }: InForce): string => `certified until ${isoOfSeconds(claims.exp)}`

const validation = (certificates: typeof Certificates.Service): Task<{ readonly agent: string }> => ({
  event: "certificate.validate",
  may: "read",
  within: "certificates",
  resource: ({ agent }) => certificateResource(agent),
  work: ({ agent }) =>
    Effect.map(certificates.inForce(agent), (certificate) => ({
      body: {
        valid: true,
        agent,
        issued_at: isoOfSeconds(certificate.claims.iat),
        expires_at: isoOfSeconds(certificate.claims.exp)
      },
      reason: until(certificate),
      metadata: { certificate_id: certificate.claims.jti }
    }))
})

const start = (certificates: typeof Certificates.Service, sessions: typeof Sessions.Service): Task<StartRequest> => {
  const attempt = (
    { agent, kept, sessionId }: StartRequest,
    requestId: string,
    attemptsLeft: number
  ): ReturnType<Task<StartRequest>["work"]> =>
    Effect.gen(function* () {
      const certificate = yield* certificates.inForce(agent)
      const starting = { agent, sessionId, certificate, requestId, metadata: kept.metadata }
      if (yield* sessions.start(starting)) {
        const done: Done = {
          body: { allowed: true, reason: `${agent} is ${until(certificate)}` },
          reason: until(certificate),
          metadata: {
            certificate_id: certificate.claims.jti,
            ...(kept.dropped.length === 0 ? {} : { dropped: kept.dropped })
          },
          undo: sessions.withdraw(starting)
        }
        return done
      }
      const existing = yield* sessions.find(sessionId)
      // Without one, the certificate stopped to be in force in between: the next look says why, or finds another.
      if (existing === undefined && attemptsLeft > 0) {
        return yield* attempt({ agent, kept, sessionId }, requestId, attemptsLeft - 1)
      }
      // Nobody has the name: the statement came to the server too late each time, since it is slow or its rows are held.
      if (existing === undefined) {
        return yield* new DatabaseUnavailable({ reason: "it did not start the session in time, and nobody else did" })
      }
      return yield* new Refused({
        code: "session_exists",
        reason: `the session ${JSON.stringify(sessionId)} ${sessionState(existing)}; a session's name is used once`
      })
    })
  return {
    event: "session.start",
    may: "execute",
    within: "sessions",
    resource: ({ agent, sessionId }) => sessionResource(agent, sessionId),
    work: (given, { requestId }) => attempt(given, requestId, 2)
  }
}

/** A request about a session, and the session that it is about: undefined where none has the name. */
interface Concerning {
  readonly sessionId: string
  readonly session: SessionRow | undefined
}

/** Of a name that no session has, the resource is the name itself: nobody learns of names that they have no part in. */
const resourceOf = ({ session, sessionId }: Concerning): string =>
  session === undefined ? `sessions/${sessionId}` : sessionResource(session.agent, sessionId)

const concerning =
  (sessions: typeof Sessions.Service) =>
  <I extends { readonly sessionId: string }, E>(input: Effect.Effect<I, E>) =>
    Effect.flatMap(input, (given) => Effect.map(sessions.find(given.sessionId), (session) => ({ ...given, session })))

const heartbeat = (
  certificates: typeof Certificates.Service,
  sessions: typeof Sessions.Service,
  timeout: Duration.Duration
): Task<Concerning> => {
  const active = (sessionId: string, session: SessionRow | undefined) =>
    session === undefined
      ? Effect.fail(unknownSession(sessionId))
      : session.endedAt === null
        ? Effect.succeed(session)
        : Effect.fail(
            new Refused({
              code: "session_over",
              reason: `the session ${JSON.stringify(sessionId)} ${sessionState(session)}; start another`
            })
          )
  return {
    event: "session.heartbeat",
    may: "execute",
    within: "sessions",
    resource: resourceOf,
    work: ({ session, sessionId }) =>
      Effect.gen(function* () {
        const { agent } = yield* active(sessionId, session)
        const certificate = yield* certificates.inForce(agent)
        const { lastSeenAt } = yield* active(sessionId, yield* sessions.beat({ sessionId, agent }))
        return {
          body: {
            session_id: sessionId,
            last_seen_at: DateTime.formatIso(lastSeenAt),
            expires_at: DateTime.formatIso(DateTime.addDuration(lastSeenAt, timeout))
          },
          reason: until(certificate)
        }
      })
  }
}

const end = (sessions: typeof Sessions.Service): Task<Concerning & { readonly outputFile: string | null }> => ({
  event: "session.end",
  may: "execute",
  within: "sessions",
  resource: resourceOf,
  work: ({ outputFile, session: known, sessionId }) =>
    Effect.gen(function* () {
      if (known === undefined) return yield* unknownSession(sessionId)
      const session = yield* sessions.end({ sessionId, agent: known.agent }, outputFile)
      if (session === undefined || session.endedAt === null) return yield* unknownSession(sessionId)
      return {
        body: {
          session_id: sessionId,
          ended_at: DateTime.formatIso(session.endedAt),
          end_reason: session.endReason
        },
        reason: `the session ${sessionState(session)}`,
        undo: "stands"
      } as const
    })
})

/** What others ask while an agent works. A session that is silent for `timeout` is ended elsewhere. */
export const workHandlers = (timeout: Duration.Duration) =>
  HttpApiBuilder.group(GuardianApi, "work", (group) =>
    Effect.map(Effect.all([answering, Certificates, Sessions]), ([answer, certificates, sessions]) => {
      const validating = validation(certificates)
      const starting = start(certificates, sessions)
      const beating = heartbeat(certificates, sessions, timeout)
      const ending = end(sessions)
      const about = concerning(sessions)
      return group
        .handleRaw("validate", ({ request }) => answer(validating, request, bodyOf(parseAgent)(request)))
        .handleRaw("startSession", ({ request }) => answer(starting, request, bodyOf(parseStart)(request)))
        .handleRaw("heartbeat", ({ request }) => answer(beating, request, about(bodyOf(parseSession)(request))))
        .handleRaw("endSession", ({ request }) => answer(ending, request, about(bodyOf(parseEnd)(request))))
    })
  )
