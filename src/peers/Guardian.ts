import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { WorkGroup } from "../guardian/Api.ts"
import { locationOf } from "./Location.ts"
import * as Outgoing from "./Outgoing.ts"
import * as PeerCall from "./PeerCall.ts"
import { type CallFailure, unavailable } from "./PeerCall.ts"
import * as PeerHttp from "./PeerHttp.ts"
import { PeerUnavailable } from "./PeerUnavailable.ts"

/** In whose name, and under which id, the guardian is asked. */
export interface Asker {
  readonly authorization: string | undefined
  readonly requestId: string
}

/** The guardian says no: the agent has no certificate in force, its session exists or is unknown, or the asker may not ask. */
export class GuardianRefused extends Schema.TaggedError<GuardianRefused>()("GuardianRefused", {
  code: Schema.Literal(
    "unauthenticated",
    "access_denied",
    "not_certified",
    "session_exists",
    "session_not_found",
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

const meaning = (failure: Declared | CallFailure): GuardianRefused | PeerUnavailable => {
  if (!("error" in failure)) return unavailable("guardian", failure)
  const { code, message } = failure.error
  if (isRefusal(code)) return new GuardianRefused({ code, reason: message })
  return code === "body_too_large"
    ? new GuardianRefused({ code: "invalid_request", reason: message })
    : new PeerUnavailable({ peer: "guardian", reason: message })
}

/** Asks the guardian over HTTP, by the client that its contract yields. */
export class Guardian extends Context.Tag("peers/Guardian")<
  Guardian,
  {
    /** The certificate in force; `expiresAt` is ISO 8601. */
    readonly certified: (
      question: Asker & { readonly agent: string }
    ) => Effect.Effect<{ readonly agent: string; readonly expiresAt: string }, GuardianRefused | PeerUnavailable>
    readonly startSession: (
      question: Asker & {
        readonly agent: string
        readonly sessionId: string
        readonly metadata: Readonly<Record<string, unknown>>
      }
    ) => Effect.Effect<void, GuardianRefused | PeerUnavailable>
    readonly endSession: (
      question: Asker & { readonly sessionId: string }
    ) => Effect.Effect<void, GuardianRefused | PeerUnavailable>
  }
>() {
  static readonly layer = Layer.effect(
    Guardian,
    Effect.gen(function* () {
      const http = yield* Effect.context<HttpClient.HttpClient>()
      const call = yield* PeerCall.make("guardian")
      // Made at the first question: a service of this process has a port only when it listens.
      const client = yield* Effect.cached(
        Effect.flatMap(yield* locationOf("guardian"), (baseUrl) =>
          HttpApiClient.make(HttpApi.make("guardian").add(WorkGroup), { baseUrl, transformClient: Outgoing.carrying })
        ).pipe(Effect.provide(http))
      )
      const inNameOf = ({ authorization, requestId }: Asker) =>
        Outgoing.withHeaders({
          "x-request-id": requestId,
          ...(authorization === undefined ? {} : { authorization })
        })
      return {
        certified: Effect.fn("Guardian.certified", { kind: "client" })(function* (question) {
          const { work } = yield* client
          const { agent, expires_at: expiresAt } = yield* work
            .validate({ payload: { agent: question.agent } })
            .pipe((asking) => call(asking, meaning), inNameOf(question))
          return { agent, expiresAt }
        }),
        startSession: Effect.fn("Guardian.startSession", { kind: "client" })(function* (question) {
          const { work } = yield* client
          const { agent, metadata, sessionId } = question
          yield* work
            .startSession({ payload: { agent, session_id: sessionId, metadata } })
            .pipe((asking) => call(asking, meaning), inNameOf(question))
        }),
        endSession: Effect.fn("Guardian.endSession", { kind: "client" })(function* (question) {
          const { work } = yield* client
          yield* work
            .endSession({ payload: { session_id: question.sessionId } })
            .pipe((asking) => call(asking, meaning), inNameOf(question))
        })
      }
    })
  ).pipe(Layer.provide(PeerHttp.layer))
}
