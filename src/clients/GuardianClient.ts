import { randomUUID } from "node:crypto"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Api from "../contracts/guardian/GuardianApi.ts"
import type { KeepSessions, SessionLost } from "../contracts/guardian/GuardianSchemas.ts"
import { traced } from "../platform/telemetry/Traced.ts"
import * as PeerCall from "./PeerCall.ts"
import { PeerUnavailable } from "./PeerCall.ts"
import { peerEndpoint } from "./PeerEndpoint.ts"
import { type CallerHeaders, refusalCode, type TokenRefused } from "./PeerTokens.ts"
import { ServiceAuthorization } from "./ServiceAuthorization.ts"

/** The guardian refused: no certificate in force; a session that exists, is unknown or is over; or the caller is not allowed. */
export class GuardianRefused extends Schema.TaggedError<GuardianRefused>()("GuardianRefused", {
  code: Schema.Literal(
    "unauthenticated",
    "too_many_failures",
    "access_denied",
    "not_certified",
    "session_exists",
    "session_not_found",
    "session_over",
    "invalid_request"
  ),
  reason: Schema.String
}) {
  override get message(): string {
    return this.reason
  }
}

const isRefusal = Schema.is(GuardianRefused.fields.code)

interface Declared {
  readonly error: { readonly code: string; readonly message: string }
}

const toDomainError = (failure: Declared): GuardianRefused | PeerUnavailable => {
  const code = PeerCall.refusalCode(failure.error.code)
  const reason = failure.error.message
  return isRefusal(code) ? new GuardianRefused({ code, reason }) : new PeerUnavailable({ peer: "guardian", reason })
}

const toRefusal = (refused: TokenRefused) => new GuardianRefused({ code: refusalCode(refused), reason: refused.reason })

const validate = peerEndpoint(Api.validate, Api.workErrors)
const startSession = peerEndpoint(Api.startSession, Api.workErrors)
const keepSessions = peerEndpoint(Api.keepSessions, Api.workErrors)
const endSession = peerEndpoint(Api.endSession, Api.workErrors)

type CertifiedQuestion = CallerHeaders & { readonly agent: string }
type SessionCall = CertifiedQuestion & { readonly sessionId: string }
type NewSession = SessionCall & { readonly metadata: Readonly<Record<string, unknown>> }

/** Asks the guardian by its contract: in process where it runs here, else over HTTP. */
export class GuardianClient extends Context.Tag("clients/GuardianClient")<
  GuardianClient,
  {
    /** The certificate in force; `expiresAt` is ISO 8601. */
    readonly certified: (
      question: CertifiedQuestion
    ) => Effect.Effect<{ readonly agent: string; readonly expiresAt: string }, GuardianRefused | PeerUnavailable>
    readonly startSession: (question: NewSession) => Effect.Effect<void, GuardianRefused | PeerUnavailable>
    /** Keeps the sessions `alive`, ends those that are `done`, and returns those of `alive` that are over. */
    readonly keepSessions: (
      sessions: typeof KeepSessions.Type
    ) => Effect.Effect<ReadonlyArray<typeof SessionLost.Type>, GuardianRefused | PeerUnavailable>
    readonly endSession: (question: SessionCall) => Effect.Effect<void, GuardianRefused | PeerUnavailable>
  }
>() {
  static readonly layer = Layer.effect(
    GuardianClient,
    Effect.gen(function* () {
      const call = yield* PeerCall.make("guardian")
      const own = yield* ServiceAuthorization

      return {
        keepSessions: Effect.fn("Guardian.keepSessions", { kind: "client" })(function* (sessions) {
          const token = yield* Effect.mapError(
            own.authorization,
            ({ message }) => new PeerUnavailable({ peer: "guardian", reason: `there is no token for it: ${message}` })
          )
          const authorization = token === undefined ? undefined : Redacted.value(token)
          // The gatekeeper issued the token for itself alone, so it is exchanged for one that the guardian can use.
          const caller = { authorization, requestId: randomUUID(), addressee: "gatekeeper" } as const
          const asked = call(keepSessions, sessions, caller, toDomainError, toRefusal)
          const { over } = yield* Effect.tapError(asked, (error) =>
            error._tag === "GuardianRefused" && error.code === "unauthenticated" ? own.renew : Effect.void
          )
          return over
        }),
        certified: traced("Guardian.certified", { kind: "client" })((question: CertifiedQuestion) =>
          Effect.map(call(validate, { agent: question.agent }, question, toDomainError, toRefusal), (certificate) => ({
            agent: certificate.agent,
            expiresAt: certificate.expires_at
          }))
        ),
        startSession: traced("Guardian.startSession", { kind: "client" })((question: NewSession) => {
          const { agent, metadata, sessionId } = question
          const payload = { agent, session_id: sessionId, metadata }
          return Effect.asVoid(call(startSession, payload, question, toDomainError, toRefusal))
        }),
        endSession: traced("Guardian.endSession", { kind: "client" })((question: SessionCall) => {
          const { agent, sessionId } = question
          return Effect.asVoid(call(endSession, { agent, session_id: sessionId }, question, toDomainError, toRefusal))
        })
      }
    })
  ).pipe(Layer.provide(PeerCall.layer))
}
