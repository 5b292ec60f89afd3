import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Api from "../contracts/guardian/GuardianApi.ts"
import { ClientSettings } from "./ClientSettings.ts"
import * as PeerCall from "./PeerCall.ts"
import { type CallerHeaders, PeerUnavailable } from "./PeerCall.ts"
import { peerEndpoint } from "./PeerEndpoint.ts"

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

/** A quarter of the timeout: two heartbeats may be lost, and the third still arrives before the session expires. */
const pauseWithin = (timeout: Duration.Duration): Duration.Duration =>
  Duration.max(Duration.times(timeout, 1 / 4), Duration.millis(100))

const validate = peerEndpoint(Api.validate, Api.workErrors)
const startSession = peerEndpoint(Api.startSession, Api.workErrors)
const heartbeat = peerEndpoint(Api.heartbeat, Api.workErrors)
const endSession = peerEndpoint(Api.endSession, Api.workErrors)

type SessionCall = CallerHeaders & { readonly sessionId: string }

/** Asks the guardian by its contract: in process where it runs here, else over HTTP. */
export class GuardianClient extends Context.Tag("clients/GuardianClient")<
  GuardianClient,
  {
    /** The certificate in force; `expiresAt` is ISO 8601. */
    readonly certified: (
      question: CallerHeaders & { readonly agent: string }
    ) => Effect.Effect<{ readonly agent: string; readonly expiresAt: string }, GuardianRefused | PeerUnavailable>
    readonly startSession: (
      question: SessionCall & { readonly agent: string; readonly metadata: Readonly<Record<string, unknown>> }
    ) => Effect.Effect<void, GuardianRefused | PeerUnavailable>
    /**
     * Sends heartbeats until it is interrupted, or until the guardian refuses one: it succeeds with that refusal. The first is sent
     * after a quarter of this process's `GUARDIAN_SESSION_TIMEOUT`, the others by the expiry that the guardian answers.
     */
    readonly keepAlive: (question: SessionCall) => Effect.Effect<GuardianRefused>
    readonly endSession: (question: SessionCall) => Effect.Effect<void, GuardianRefused | PeerUnavailable>
  }
>() {
  static readonly layer = Layer.effect(
    GuardianClient,
    Effect.gen(function* () {
      const call = yield* PeerCall.make("guardian")
      const { sessionTimeout } = yield* ClientSettings

      const beat = Effect.fn("Guardian.heartbeat", { kind: "client" })((question: SessionCall) =>
        call(heartbeat, { session_id: question.sessionId }, question, toDomainError)
      )

      return {
        keepAlive: (question) => {
          const beatAfter = (pause: Duration.Duration): Effect.Effect<GuardianRefused> =>
            Effect.zipRight(Effect.sleep(pause), beat(question)).pipe(
              Effect.matchEffect({
                onSuccess: ({ expires_at, last_seen_at }) =>
                  beatAfter(pauseWithin(Duration.millis(Date.parse(expires_at) - Date.parse(last_seen_at)))),
                onFailure: (failure) =>
                  Effect.zipRight(
                    Effect.logWarning(`Session ${question.sessionId} was not kept alive: ${failure.message}`),
                    failure._tag === "PeerUnavailable" ? beatAfter(pause) : Effect.succeed(failure)
                  )
              })
            )
          return beatAfter(pauseWithin(sessionTimeout))
        },
        certified: Effect.fn("Guardian.certified", { kind: "client" })(function* (question) {
          const certificate = yield* call(validate, { agent: question.agent }, question, toDomainError)
          return { agent: certificate.agent, expiresAt: certificate.expires_at }
        }),
        startSession: Effect.fn("Guardian.startSession", { kind: "client" })(function* (question) {
          const { agent, metadata, sessionId } = question
          yield* call(startSession, { agent, session_id: sessionId, metadata }, question, toDomainError)
        }),
        endSession: Effect.fn("Guardian.endSession", { kind: "client" })(function* (question) {
          yield* call(endSession, { session_id: question.sessionId }, question, toDomainError)
        })
      }
    })
  ).pipe(Layer.provide(PeerCall.layer))
}
