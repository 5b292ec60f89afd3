import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { InvalidRequest } from "../../contracts/ApiError.ts"
import { statusOf } from "../../contracts/ErrorCodes.ts"
import { serviceUrl } from "../../platform/http/Listener.ts"
import { requestId } from "../../platform/http/RequestContext.ts"
import { readJson } from "../../platform/http/RequestDecoding.ts"
import { AccessControl, type AuthenticatedOutcome, type Outcome } from "../AccessControl.ts"
import { GatekeeperSettings } from "../GatekeeperSettings.ts"
import { elseAuditUnavailable, rawRefusal, refusalOf } from "../Refusals.ts"
import { decideEvaluations, type EvaluationOutcome, evaluationPermission } from "./AuthZenDecisions.ts"
import { type Evaluations, parseEvaluations, parseOne } from "./AuthZenRequest.ts"

const isJson = (request: HttpServerRequest.HttpServerRequest): boolean =>
  /^application\/json *(;|$)/i.test(request.headers["content-type"] ?? "")

/** The body as JSON; the specification requires the content type (section 10.1). */
const bodyOf = (request: HttpServerRequest.HttpServerRequest) =>
  Effect.map(Effect.either(readJson(request)), (body) =>
    isJson(request) ? body : Either.left(new InvalidRequest({ reason: "the content-type must be application/json" }))
  )

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

/**
 * Raw routes. The adapter `audited` decodes a body as a whole, but one malformed evaluation among several is a denial with its own
 * row, and what is valid depends on the policy's `resource_paths`.
 */
const handler = (parse: (body: unknown) => Either.Either<Evaluations, string>) =>
  Effect.map(AccessControl, (access) =>
    Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
      const id = requestId(request)
      const body = yield* bodyOf(request)
      const parsed = Either.flatMap(body, (json) =>
        Either.mapLeft(parse(json), (reason) => new InvalidRequest({ reason }))
      )
      const caller: Exclude<Outcome, AuthenticatedOutcome> = yield* access.ask({
        authorization: request.headers["authorization"],
        requestId: id,
        access: Either.mapBoth(parsed, {
          onLeft: ({ message }) => ({ message, claimed: evaluationPermission }),
          onRight: () => evaluationPermission
        })
      })
      if (caller._tag !== "Allowed") {
        const isTooLarge = Either.isLeft(parsed) && parsed.left.code === "body_too_large"
        return rawRefusal(refusalOf(caller, isTooLarge ? "body_too_large" : "bad_request"), id)
      }
      const evaluations = Either.getOrThrow(parsed)
      const outcomes = yield* decideEvaluations(access, id, caller, evaluations)
      if (!evaluations.single) return HttpServerResponse.unsafeJson({ evaluations: outcomes.map(evaluationView) })
      const [only] = outcomes
      if (only === undefined || only._tag === "Invalid") {
        const { auditId, message } = only ?? { auditId: caller.auditId, message: "the request has no evaluation" }
        return rawRefusal({ code: "bad_request", message, auditId }, id)
      }
      return HttpServerResponse.unsafeJson(evaluationView(only))
    }, elseAuditUnavailable)
  )

/** `POST /access/v1/evaluation`. */
export const evaluation = handler(parseOne)

/** `POST /access/v1/evaluations`. */
export const evaluations = handler(parseEvaluations)

/**
 * The URL of this policy decision point: the setting's, else that of the listener. A request's `Host` is not used, since its sender
 * would choose where others ask for decisions.
 */
export const pointUrl = Effect.flatMap(GatekeeperSettings, ({ publicUrl }) => serviceUrl("gatekeeper", publicUrl))

/** `GET /.well-known/authzen-configuration`: AuthZEN 1.0, section 9.2. */
export const configurationResponse = (url: string) =>
  HttpServerResponse.unsafeJson({
    policy_decision_point: url,
    access_evaluation_endpoint: `${url}/access/v1/evaluation`,
    access_evaluations_endpoint: `${url}/access/v1/evaluations`
  })
