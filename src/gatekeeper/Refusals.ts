import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import { AuditUnavailable } from "../audit/AuditUnavailable.ts"
import { statusOf } from "../contracts/ErrorCodes.ts"
import { errorResponse } from "../platform/http/ErrorResponse.ts"
import { requestId } from "../platform/http/RequestId.ts"
import type { Allowed, Outcome } from "./AccessControl.ts"

/** RFC 6750, section 3: a request without credentials gets no error code. */
const challenge = (outcome: Outcome & { readonly _tag: "Unauthenticated" }): string =>
  outcome.cause.problem === "missing"
    ? 'Bearer realm="gravitas"'
    : `Bearer realm="gravitas", error="invalid_token", error_description="${outcome.cause.reason.replace(/["\\]/g, "'")}"`

/** What became of a request that was not allowed. */
export type Refusal = Exclude<Outcome, { readonly _tag: "Allowed" | "Known" }>

/** The answer to whoever is not allowed. `isTooLarge`: what could not be understood is a body over the limit. */
export const refusalResponse = (
  outcome: Refusal,
  id: string,
  isTooLarge = false
): HttpServerResponse.HttpServerResponse => {
  const { auditId } = outcome
  switch (outcome._tag) {
    case "Denied":
      return errorResponse({
        status: statusOf("access_denied"),
        code: "access_denied",
        message: `${outcome.ghostId} may not do this: ${outcome.decision.reason}`,
        detail: "Access denied by policy",
        requestId: id,
        auditId,
        more: { matched: outcome.decision.matched, policy_version: outcome.policyVersion }
      })
    case "KeysUnavailable":
      return errorResponse({
        status: statusOf("keys_unavailable"),
        code: "keys_unavailable",
        message: outcome.cause.message,
        requestId: id,
        auditId,
        headers: { "retry-after": "1" }
      })
    case "Unauthenticated":
      return errorResponse({
        status: statusOf("unauthenticated"),
        code: "unauthenticated",
        message: outcome.cause.reason,
        detail: outcome.cause.problem === "missing" ? "Missing Authorization header" : "Invalid or expired token",
        requestId: id,
        auditId,
        headers: { "www-authenticate": challenge(outcome) }
      })
    case "Invalid":
      return errorResponse({
        ...(isTooLarge
          ? { status: statusOf("body_too_large"), code: "body_too_large" }
          : { status: statusOf("invalid_request"), code: "invalid_request" }),
        message: outcome.message,
        requestId: id,
        auditId
      })
  }
}

/** No decision without a record. */
export const auditUnavailable = (error: AuditUnavailable, id: string) =>
  errorResponse({
    status: statusOf("audit_unavailable"),
    code: "audit_unavailable",
    message: error.message,
    requestId: id,
    headers: { "retry-after": "1" }
  })

/** What was allowed cannot be given, since the trail's database is away. */
export const trailUnreachable = (
  { auditId }: Allowed,
  message: string,
  id: string
): HttpServerResponse.HttpServerResponse =>
  errorResponse({
    status: statusOf("trail_unreachable"),
    code: "trail_unreachable",
    message,
    requestId: id,
    auditId,
    headers: { "retry-after": "1" }
  })

/** Answers a request that the trail could not record with that. */
export const elseAuditUnavailable = <E, R>(
  effect: Effect.Effect<HttpServerResponse.HttpServerResponse, E | AuditUnavailable, R>,
  request: HttpServerRequest.HttpServerRequest
) =>
  Effect.catchIf(
    effect,
    (error): error is AuditUnavailable => error instanceof AuditUnavailable,
    (error) => Effect.succeed(auditUnavailable(error, requestId(request)))
  )
