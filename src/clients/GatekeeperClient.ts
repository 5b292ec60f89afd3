import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Api from "../contracts/gatekeeper/GatekeeperApi.ts"
import { traced } from "../platform/telemetry/Traced.ts"
import * as PeerCall from "./PeerCall.ts"
import { PeerUnavailable } from "./PeerCall.ts"
import { peerEndpoint } from "./PeerEndpoint.ts"
import { type CallerHeaders, refusalCode, type TokenRefused } from "./PeerTokens.ts"

/** Asks whether the bearer of `authorization` may do something. */
export interface Question extends CallerHeaders {
  readonly action: string
  /** Canonical: `shells/<tier>/<model>`, `badges/<ghost>`, … */
  readonly resource: string
  readonly metadata?: Readonly<Record<string, unknown>>
}

/** The gatekeeper allowed it; its row in the trail is `auditId`. */
export interface Authorized {
  readonly ghostId: string
  readonly groups: ReadonlyArray<string>
  readonly auditId: string
}

/** The gatekeeper refused: no valid token (401, or 429 where only a count records it), not allowed (403), or malformed (422). */
export class NotAuthorized extends Schema.TaggedError<NotAuthorized>()("NotAuthorized", {
  code: Schema.Literal("unauthenticated", "too_many_failures", "access_denied", "invalid_request"),
  reason: Schema.String,
  /** Of the gatekeeper's row. */
  auditId: Schema.optional(Schema.String)
}) {
  get isAuthenticated(): boolean {
    return this.code !== "unauthenticated" && this.code !== "too_many_failures"
  }
  override get message(): string {
    return this.reason
  }
}

interface Declared {
  readonly error: { readonly code: string; readonly message: string; readonly audit_id?: string | undefined }
}

const isRefusal = Schema.is(NotAuthorized.fields.code)

const toDomainError = (failure: Declared): NotAuthorized | PeerUnavailable => {
  const { audit_id: auditId, message: reason } = failure.error
  const code = PeerCall.refusalCode(failure.error.code)
  return isRefusal(code)
    ? new NotAuthorized({ code, reason, auditId })
    : new PeerUnavailable({ peer: "gatekeeper", reason })
}

const toRefusal = (refused: TokenRefused) =>
  new NotAuthorized({ code: refusalCode(refused), reason: refused.reason, auditId: refused.auditId })

/**
 * Characters of the `Authorization` header that are passed on: more than the longest token that the gatekeeper accepts, so that a
 * longer one is refused there, and recorded. Passed on whole, it could exceed the headers that the gatekeeper reads.
 */
const maximumAuthorization = 16 * 1024

const { errorSchema, path, payloadSchema, successSchema } = Api.validate

const validate = peerEndpoint(
  {
    path,
    payloadSchema,
    errorSchema,
    // A decision without a subject or a row is not usable.
    successSchema: successSchema.pipe(Schema.filter(({ audit_id, ghost_id }) => ghost_id !== "" && audit_id !== ""))
  },
  Schema.Never
)

/** Asks the gatekeeper by its contract: in process where it runs here, else over HTTP. The gatekeeper records each decision itself. */
export class GatekeeperClient extends Context.Tag("clients/GatekeeperClient")<
  GatekeeperClient,
  {
    readonly authorize: (question: Question) => Effect.Effect<Authorized, NotAuthorized | PeerUnavailable>
  }
>() {
  static readonly layer = Layer.effect(
    GatekeeperClient,
    Effect.gen(function* () {
      const call = yield* PeerCall.make("gatekeeper")
      return {
        authorize: traced("Gatekeeper.authorize", { kind: "client" })((question: Question) => {
          const { action, addressee, authorization, metadata, requestId, resource } = question
          const payload = { action, resource, ...(metadata === undefined ? {} : { metadata }) }
          const caller = {
            requestId,
            authorization: authorization?.slice(0, maximumAuthorization),
            ...(addressee === undefined ? {} : { addressee })
          }
          return Effect.map(call(validate, payload, caller, toDomainError, toRefusal), (allowed) => ({
            ghostId: allowed.ghost_id,
            groups: allowed.groups,
            auditId: allowed.audit_id
          }))
        })
      }
    })
  ).pipe(Layer.provide(PeerCall.layer))
}
