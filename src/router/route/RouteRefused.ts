import * as Effect from "effect/Effect"
import type { AuditLog } from "../../audit/AuditLog.ts"
import type { AuditUnavailable } from "../../audit/AuditUnavailable.ts"
import { GatekeeperClient, type NotAuthorized } from "../../clients/GatekeeperClient.ts"
import type { PeerUnavailable } from "../../clients/PeerCall.ts"
import { errorTypeOf, type RefusalCode, statusOfRefusal } from "../../contracts/router/RouterErrors.ts"
import { bearerChallenge, Refusal } from "../../platform/http/ErrorResponse.ts"
import { unknownShellResource } from "../models/Catalog.ts"
import type { FailureKind, ProviderFailure } from "../providers/Provider.ts"
import { type ChatRequestContext, recordRouteEvent } from "./ChatRequestContext.ts"

export interface RefusalFields {
  readonly code: RefusalCode
  readonly reason: string
  /** The field that is wrong, as OpenAI's errors name it. */
  readonly param?: string | null | undefined
  readonly auditId?: string | undefined
  readonly retryAfterMillis?: number | undefined
  /** Whether the same request should be sent again; undefined: clients decide by the status. */
  readonly shouldRetry?: boolean | undefined
}

const codes: Readonly<Record<FailureKind, RefusalCode>> = {
  unreachable: "provider_failed",
  timed_out: "provider_timeout",
  broken: "provider_failed",
  refused: "content_filter",
  misconfigured: "provider_misconfigured",
  busy: "rate_limited",
  rejected: "provider_rejected",
  cooling: "provider_unavailable",
  unavailable: "provider_unavailable"
}

/** The same request would fail again, until an operator changes a key, the models file or the request. */
const isFinal = (kind: FailureKind): boolean =>
  kind === "refused" || kind === "misconfigured" || kind === "rejected" || kind === "unavailable"

export const refusalOfFailure = (failure: ProviderFailure): RefusalFields => {
  const { code, kind, message, param, retryAfterMillis, shouldRetry } = failure
  return {
    code: code ?? codes[kind],
    reason: message,
    param,
    retryAfterMillis,
    shouldRetry: isFinal(kind) ? false : shouldRetry
  }
}

/** OpenAI's clients look for the milliseconds first; a wait of less than a second is rounded up in seconds. */
const retryHeaders = (millis: number): Readonly<Record<string, string>> => ({
  "retry-after": String(Math.max(1, Math.ceil(millis / 1_000))),
  "retry-after-ms": String(Math.ceil(millis))
})

/** The refusal of a request, with OpenAI's status and fields. The client sees the reason. */
export const routeRefused = ({ auditId, code, param, reason, retryAfterMillis, shouldRetry }: RefusalFields): Refusal =>
  new Refusal({
    code,
    message: reason,
    auditId,
    status: statusOfRefusal(code),
    more: { type: errorTypeOf(code), param: param ?? null },
    headers: {
      ...(code === "unauthenticated" ? bearerChallenge(undefined) : {}),
      ...(retryAfterMillis === undefined ? {} : retryHeaders(retryAfterMillis)),
      ...(shouldRetry === undefined ? {} : { "x-should-retry": String(shouldRetry) })
    }
  })

/** The refusal of a request that cannot be recorded: there is no decision without a record. */
export const refusalOfTrail = (error: AuditUnavailable): Refusal =>
  routeRefused({ code: error.code, reason: error.message })

export const refusalOfDenial = ({ auditId, code, reason }: NotAuthorized): Refusal =>
  routeRefused({ code: code === "invalid_request" ? "access_denied" : code, reason, auditId })

export const refuseUnavailable = (
  context: ChatRequestContext,
  { message: reason, peer }: PeerUnavailable
): Effect.Effect<never, Refusal, AuditLog> =>
  recordRouteEvent(context, {
    action: "route",
    result: "DENIED",
    reason,
    facts: { code: "peer_unavailable", peer }
  }).pipe(
    Effect.mapError(refusalOfTrail),
    Effect.flatMap((auditId) => routeRefused({ code: "peer_unavailable", reason, auditId }))
  )

/** Identifies the caller of a request that cannot be routed, by asking about a shell of no tier. Only a stranger is refused. */
export const identifyCaller = (
  context: ChatRequestContext,
  model: string
): Effect.Effect<void, Refusal, GatekeeperClient | AuditLog> =>
  Effect.gen(function* () {
    const gatekeeper = yield* GatekeeperClient
    const { authorization, requestId } = context
    const { ghostId } = yield* gatekeeper.authorize({
      authorization,
      requestId,
      action: "execute",
      resource: unknownShellResource(model)
    })
    context.ghostId = ghostId
  }).pipe(
    Effect.catchTags({
      NotAuthorized: (denial) => {
        if (!denial.isAuthenticated) return Effect.fail(refusalOfDenial(denial))
        context.isAuthenticated = true
        return Effect.void
      },
      PeerUnavailable: (unavailable) => refuseUnavailable(context, unavailable)
    })
  )
