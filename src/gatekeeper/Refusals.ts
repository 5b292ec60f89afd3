import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import { AuditUnavailable } from "../audit/AuditUnavailable.ts"
import type { ErrorCode } from "../contracts/ErrorCodes.ts"
import { bearerChallenge, type RefusalFields, refusalResponse } from "../platform/http/ErrorResponse.ts"
import { requestId } from "../platform/http/RequestContext.ts"
import type { AllowedOutcome, AuthenticatedOutcome, Outcome } from "./AccessControl.ts"

/** An outcome that is answered with an error. */
type RefusedOutcome = Exclude<Outcome, AllowedOutcome | AuthenticatedOutcome>

/** The error that answers a refused request; `invalidCode` is that of a request that is not valid. */
export const refusalOf = (outcome: RefusedOutcome, invalidCode: ErrorCode = "invalid_request"): RefusalFields => {
  const { auditId } = outcome
  switch (outcome._tag) {
    case "Denied":
      return {
        code: "access_denied",
        message: `${outcome.ghostId} may not do this: ${outcome.decision.reason}`,
        detail: "Access denied by policy",
        auditId,
        more: { matched: outcome.decision.matched, policy_version: outcome.policyVersion }
      }
    case "KeysUnavailable":
      return { code: "keys_unavailable", message: outcome.cause.message, auditId }
    case "Unauthenticated": {
      const { problem, reason } = outcome.cause
      return {
        code: "unauthenticated",
        message: reason,
        detail: problem === "missing" ? "Missing Authorization header" : "Invalid or expired token",
        auditId,
        headers: bearerChallenge(problem === "missing" ? undefined : reason)
      }
    }
    case "Invalid":
      return { code: invalidCode, message: outcome.message, auditId }
  }
}

/** The error of a raw route, which names its row in the body alone. */
export const rawRefusal = (refusal: RefusalFields, id: string): HttpServerResponse.HttpServerResponse =>
  refusalResponse(refusal, id, false)

/** Answers AuditUnavailable with its error: there is no decision without a record. */
export const elseAuditUnavailable = <E, R>(
  effect: Effect.Effect<HttpServerResponse.HttpServerResponse, E | AuditUnavailable, R>,
  request: HttpServerRequest.HttpServerRequest
) =>
  Effect.catchIf(
    effect,
    (error): error is AuditUnavailable => error instanceof AuditUnavailable,
    ({ message }) => Effect.succeed(rawRefusal({ code: "audit_unavailable", message }, requestId(request)))
  )
