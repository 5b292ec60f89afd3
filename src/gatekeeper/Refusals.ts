import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import { AuditUnavailable } from "../audit/AuditUnavailable.ts"
import { type ErrorCode, statusOf } from "../contracts/ErrorCodes.ts"
import { bearerChallenge, type ErrorAnswer, errorJson, errorResponse } from "../platform/http/ErrorResponse.ts"
import type { JsonRequest } from "../platform/http/FastLane.ts"
import { requestId } from "../platform/http/RequestContext.ts"
import type { AllowedOutcome, AuthenticatedOutcome, Outcome } from "./AccessControl.ts"

/** An outcome that is answered with an error. */
export type RefusedOutcome = Exclude<Outcome, AllowedOutcome | AuthenticatedOutcome>

/** The error that answers a request. The raw routes send it; the adapter `audited` makes a Refusal of it. */
export interface RefusalAnswer extends ErrorAnswer {
  readonly code: ErrorCode
}

/** The answer to a refused request. `isTooLarge`: the request is not valid because its body is over the limit. */
export const refusalAnswer = (outcome: RefusedOutcome, id: string, isTooLarge = false): RefusalAnswer => {
  const { auditId } = outcome
  switch (outcome._tag) {
    case "Denied":
      return {
        status: statusOf("access_denied"),
        code: "access_denied",
        message: `${outcome.ghostId} may not do this: ${outcome.decision.reason}`,
        detail: "Access denied by policy",
        requestId: id,
        auditId,
        more: { matched: outcome.decision.matched, policy_version: outcome.policyVersion }
      }
    case "KeysUnavailable":
      return {
        status: statusOf("keys_unavailable"),
        code: "keys_unavailable",
        message: outcome.cause.message,
        requestId: id,
        auditId,
        headers: { "retry-after": "1" }
      }
    case "Unauthenticated": {
      const { problem, reason } = outcome.cause
      return {
        status: statusOf("unauthenticated"),
        code: "unauthenticated",
        message: reason,
        detail: problem === "missing" ? "Missing Authorization header" : "Invalid or expired token",
        requestId: id,
        auditId,
        headers: bearerChallenge(problem === "missing" ? undefined : reason)
      }
    }
    case "Invalid": {
      const code = isTooLarge ? "body_too_large" : "invalid_request"
      return { status: statusOf(code), code, message: outcome.message, requestId: id, auditId }
    }
  }
}

export const refusalResponse = (
  outcome: RefusedOutcome,
  id: string,
  isTooLarge = false
): HttpServerResponse.HttpServerResponse => errorResponse(refusalAnswer(outcome, id, isTooLarge))

/** The answer where the trail does not accept the event: there is no decision without a record. */
const auditUnavailable = (error: AuditUnavailable, id: string): ErrorAnswer => ({
  status: statusOf("audit_unavailable"),
  code: "audit_unavailable",
  message: error.message,
  requestId: id,
  headers: { "retry-after": "1" }
})

/** The answer to an allowed request that needs the trail's database while that does not answer. */
export const trailUnreachable = (
  { auditId }: AllowedOutcome,
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

const answerAuditUnavailable =
  <Request, Response>(idOf: (request: Request) => string, encode: (answer: ErrorAnswer) => Response) =>
  <E, R>(effect: Effect.Effect<Response, E | AuditUnavailable, R>, request: Request) =>
    Effect.catchIf(
      effect,
      (error): error is AuditUnavailable => error instanceof AuditUnavailable,
      (error) => Effect.succeed(encode(auditUnavailable(error, idOf(request))))
    )

/** Answers AuditUnavailable with its error, for a raw route. */
export const elseAuditUnavailable = answerAuditUnavailable(requestId, errorResponse)

/** Answers AuditUnavailable with its error, for an operation with two lanes. */
export const elseAuditUnavailableJson = answerAuditUnavailable((request: JsonRequest) => request.requestId, errorJson)
