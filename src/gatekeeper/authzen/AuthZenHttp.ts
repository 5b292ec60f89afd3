import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { InvalidRequest } from "../../contracts/ApiError.ts"
import { statusOf } from "../../contracts/ErrorCodes.ts"
import { jsonResponse, refusalJson } from "../../platform/http/ErrorResponse.ts"
import type { JsonRequest } from "../../platform/http/FastLane.ts"
import { serviceUrl } from "../../platform/http/Listener.ts"
import type { JsonBody } from "../../platform/http/RequestDecoding.ts"
import { AccessControl, type AuthenticatedOutcome, type Outcome } from "../AccessControl.ts"
import { GatekeeperSettings } from "../GatekeeperSettings.ts"
import { elseAuditUnavailableJson, refusalOf } from "../Refusals.ts"
import { decideEvaluations, type EvaluationOutcome, evaluationPermission } from "./AuthZenDecisions.ts"
import { type Evaluations, parseEvaluations, parseOne } from "./AuthZenRequest.ts"

/** The body as JSON; the specification requires the content type (section 10.1). */
const bodyOf = ({ body, contentType = "" }: JsonRequest): JsonBody =>
  /^application\/json *(;|$)/i.test(contentType)
    ? body
    : Either.left(new InvalidRequest({ reason: "the content-type must be application/json" }))

const evaluationView = (outcome: EvaluationOutcome) => {
  if (outcome._tag === "Invalid") {
    const error = { status: statusOf("bad_request"), message: outcome.message }
    return { decision: false, context: { audit_id: outcome.auditId, error } }
  }
  const { auditId, decision, policyVersion } = outcome
  const { matched, reason } = decision
  return {
    decision: decision.allowed,
    context: { audit_id: auditId, reason, matched, policy_version: policyVersion }
  }
}

const jsonView = (view: unknown) => jsonResponse(JSON.stringify(view))

/**
 * Operations with two lanes. The adapter `audited` decodes a body as a whole, but one malformed evaluation among several is a denial
 * with its own row, and what is valid depends on the policy's `resource_paths`.
 */
const handler = (parse: (body: unknown) => Either.Either<Evaluations, string>) =>
  Effect.map(AccessControl, (access) =>
    Effect.fnUntraced(function* (request: JsonRequest) {
      const { authorization, requestId: id } = request
      const parsed = Either.flatMap(bodyOf(request), (json) =>
        Either.mapLeft(parse(json), (reason) => new InvalidRequest({ reason }))
      )
      const caller: Exclude<Outcome, AuthenticatedOutcome> = yield* access.ask({
        authorization,
        requestId: id,
        access: Either.mapBoth(parsed, {
          onLeft: ({ message }) => ({ message, claimed: evaluationPermission }),
          onRight: () => evaluationPermission
        })
      })
      if (caller._tag !== "Allowed") {
        const isTooLarge = Either.isLeft(parsed) && parsed.left.code === "body_too_large"
        return refusalJson(refusalOf(caller, isTooLarge ? "body_too_large" : "bad_request"), id)
      }
      const evaluations = Either.getOrThrow(parsed)
      const outcomes = yield* decideEvaluations(access, id, caller, evaluations)
      if (!evaluations.single) return jsonView({ evaluations: outcomes.map(evaluationView) })
      const [only] = outcomes
      if (only === undefined || only._tag === "Invalid") {
        const { auditId, message } = only ?? { auditId: caller.auditId, message: "the request has no evaluation" }
        return refusalJson({ code: "bad_request", message, auditId }, id)
      }
      return jsonView(evaluationView(only))
    }, elseAuditUnavailableJson)
  )

export const evaluation = handler(parseOne)

export const evaluations = handler(parseEvaluations)

/** The URL of this decision point. Not a request's `Host`: its sender would choose where others ask for decisions. */
export const pointUrl = Effect.flatMap(GatekeeperSettings, ({ publicUrl }) => serviceUrl("gatekeeper", publicUrl))

/** `GET /.well-known/authzen-configuration`: AuthZEN 1.0, section 9.2. */
export const configurationResponse = (url: string) =>
  HttpServerResponse.unsafeJson({
    policy_decision_point: url,
    access_evaluation_endpoint: `${url}/access/v1/evaluation`,
    access_evaluations_endpoint: `${url}/access/v1/evaluations`
  })
