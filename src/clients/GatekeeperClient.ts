import * as HttpApiClient from "@effect/platform/HttpApiClient"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { GatekeeperApi } from "../contracts/gatekeeper/GatekeeperApi.ts"
import * as PeerCall from "./PeerCall.ts"
import { type CallFailure, PeerUnavailable, unavailable } from "./PeerCall.ts"

/** Asks whether the bearer of `authorization` may do something. */
export interface Question {
  /** The value of the caller's `Authorization` header, as it came. */
  readonly authorization: string | undefined
  readonly requestId: string
  readonly action: string
  /** Canonical: `shells/<tier>/<model>`, `badges/<ghost>`, … */
  readonly resource: string
  /** For the decision's row in the trail. */
  readonly metadata?: Readonly<Record<string, unknown>>
}

/** The gatekeeper allowed it; its row in the trail is `auditId`. */
export interface Authorized {
  readonly ghostId: string
  readonly groups: ReadonlyArray<string>
  readonly auditId: string
}

/** The gatekeeper refused, and recorded that: no valid token (401), not allowed (403), or malformed (422). */
export class NotAuthorized extends Schema.TaggedError<NotAuthorized>()("NotAuthorized", {
  code: Schema.Literal("unauthenticated", "access_denied", "invalid_request"),
  reason: Schema.String,
  /** Of the gatekeeper's row. */
  auditId: Schema.optional(Schema.String)
}) {
  override get message(): string {
    return this.reason
  }
}

interface Declared {
  readonly error: { readonly code: string; readonly message: string; readonly audit_id?: string | undefined }
}

const toDomainError = (failure: Declared | CallFailure | PeerUnavailable): NotAuthorized | PeerUnavailable => {
  if (failure instanceof PeerUnavailable) return failure
  if (!("error" in failure)) return unavailable("gatekeeper", failure)
  const { audit_id: auditId, code, message } = failure.error
  switch (code) {
    case "unauthenticated":
    case "access_denied":
    case "invalid_request":
      return new NotAuthorized({ code, reason: message, auditId })
    case "body_too_large":
      return new NotAuthorized({ code: "invalid_request", reason: message, auditId })
    default:
      return new PeerUnavailable({ peer: "gatekeeper", reason: message })
  }
}

/**
 * Characters of the `Authorization` header that are passed on: more than the longest token that the gatekeeper accepts, so that a
 * longer one is refused there, and recorded. Passed on whole, it could exceed the headers that the gatekeeper reads.
 */
const maximumAuthorization = 16 * 1024

/** Asks the gatekeeper over HTTP with the client of its contract. The gatekeeper records each decision itself. */
export class GatekeeperClient extends Context.Tag("clients/GatekeeperClient")<
  GatekeeperClient,
  {
    readonly authorize: (question: Question) => Effect.Effect<Authorized, NotAuthorized | PeerUnavailable>
  }
>() {
  static readonly layer = Layer.effect(
    GatekeeperClient,
    Effect.gen(function* () {
      const http = yield* Effect.context<HttpClient.HttpClient>()
      const call = yield* PeerCall.make("gatekeeper")
      // Made at the first call: a service of this process has a port only when it listens.
      const client = yield* Effect.cached(
        Effect.flatMap(yield* PeerCall.urlOf("gatekeeper"), (baseUrl) =>
          HttpApiClient.make(GatekeeperApi, { baseUrl, transformClient: PeerCall.carrying })
        ).pipe(Effect.provide(http))
      )
      return {
        authorize: Effect.fn("Gatekeeper.authorize", { kind: "client" })(function* (question) {
          const { decisions } = yield* client
          const { action, authorization, metadata, requestId, resource } = question
          const allowed = yield* decisions
            .validate({ payload: { action, resource, ...(metadata === undefined ? {} : { metadata }) } })
            .pipe(
              // A decision without a subject or a row is not usable.
              Effect.filterOrFail(
                ({ audit_id, ghost_id }) => ghost_id !== "" && audit_id !== "",
                () => new PeerUnavailable({ peer: "gatekeeper", reason: "its answer is not of its contract" })
              ),
              (asking) => call(asking, toDomainError),
              PeerCall.withCaller({ requestId, authorization: authorization?.slice(0, maximumAuthorization) })
            )
          return { ghostId: allowed.ghost_id, groups: allowed.groups, auditId: allowed.audit_id }
        })
      }
    })
  ).pipe(Layer.provide(PeerCall.layer))
}
