import * as Effect from "effect/Effect"
import { AuditUnavailable } from "../audit/AuditUnavailable.ts"
import type { ErrorCode } from "../contracts/ErrorCodes.ts"
import {
  bearerChallenge,
  type JsonResponse,
  type RefusalFields,
  refusalJson,
  refusalResponse
} from "../platform/http/ErrorResponse.ts"
import type { JsonRequest } from "../platform/http/FastLane.ts"
import { requestId } from "../platform/http/RequestContext.ts"
import type { AllowedOutcome, AuthenticatedOutcome, Outcome } from "./AccessControl.ts"

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

const answerAuditUnavailable =
  <Request, Response>(idOf: (request: Request) => string, refuse: (refusal: RefusalFields, id: string) => Response) =>
  <E, R>(effect: Effect.Effect<Response, E | AuditUnavailable, R>, request: Request) =>
    Effect.catchIf(
      effect,
      (error): error is AuditUnavailable => error instanceof AuditUnavailable,
      ({ code, message }) => Effect.succeed(refuse({ code, message }, idOf(request)))
    )

/** Answers AuditUnavailable with its error, for a raw route: there is no decision without a record. */
export const elseAuditUnavailable = answerAuditUnavailable(requestId, refusalResponse)

export const auditUnavailableJson = ({ code, message }: AuditUnavailable, requestId: string): JsonResponse =>
  refusalJson({ code, message }, requestId)

/** Answers AuditUnavailable with its error, for an operation with two lanes. */
export const elseAuditUnavailableJson = answerAuditUnavailable(({ requestId }: JsonRequest) => requestId, refusalJson)
