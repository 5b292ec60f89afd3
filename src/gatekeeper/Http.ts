import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as contract from "../contracts/gatekeeper/GatekeeperApi.ts"
import { auditedRoutes } from "../platform/http/Audited.ts"
import { errorJson, jsonResponse } from "../platform/http/ErrorResponse.ts"
import { answerJson, type FastRoutes, type JsonRequest } from "../platform/http/FastLane.ts"
import { answerHealth, type HealthReport } from "../platform/http/Health.ts"
import { AccessControl } from "./AccessControl.ts"
import { emptyClaim, parseAccessRequest } from "./AccessRequest.ts"
import { configurationResponse, evaluation, evaluations, pointUrl } from "./authzen/AuthZenHttp.ts"
import { GatekeeperAccess } from "./GatekeeperAccess.ts"
import { ingestEvents } from "./ingest/IngestHttp.ts"
import { storeOperation } from "./ingest/StoreHttp.ts"
import { explainRoute } from "./policy/ExplainOperation.ts"
import { policyRoutes } from "./policy/PolicyOperations.ts"
import { elseAuditUnavailableJson, refusalAnswer } from "./Refusals.ts"
import { trailRoutes } from "./trail/TrailOperations.ts"

/**
 * `POST /validate`. An operation with two lanes and a parser of its own, since every action of every agent waits for it.
 * AccessRequest.ts says how the parser is kept in agreement with the contract.
 */
const validate = Effect.map(AccessControl, (access) =>
  Effect.fnUntraced(function* ({ authorization, body, requestId }: JsonRequest) {
    const outcome = yield* access.ask({
      authorization,
      requestId,
      access: Either.isLeft(body)
        ? Either.left({ message: body.left.message, claimed: emptyClaim })
        : parseAccessRequest(body.right)
    })
    if (outcome._tag !== "Allowed") {
      const isTooLarge = Either.isLeft(body) && body.left._tag === "RequestBodyTooLarge"
      return errorJson(refusalAnswer(outcome, requestId, isTooLarge))
    }
    const { decision } = outcome
    const answer = {
      allowed: true,
      ghost_id: outcome.ghostId,
      groups: decision.groups,
      audit_id: outcome.auditId,
      reason: decision.reason,
      matched: decision.matched,
      policy_version: outcome.policyVersion
    }
    return jsonResponse(JSON.stringify(answer))
  }, elseAuditUnavailableJson)
)

const decisions = HttpApiBuilder.group(contract.GatekeeperApi, "decisions", (group) =>
  Effect.map(validate, (answer) => group.handleRaw("validate", ({ request }) => answerJson(answer)(request)))
)

const authzen = HttpApiBuilder.group(contract.GatekeeperApi, "authzen", (group) =>
  Effect.map(Effect.all([evaluation, evaluations, pointUrl]), ([one, several, url]) =>
    group
      .handleRaw("evaluation", ({ request }) => answerJson(one)(request))
      .handleRaw("evaluations", ({ request }) => answerJson(several)(request))
      .handleRaw("configuration", () => Effect.map(url, configurationResponse))
  )
)

const ingest = HttpApiBuilder.group(contract.GatekeeperApi, "ingest", (group) =>
  Effect.map(Effect.all([ingestEvents, storeOperation]), ([record, store]) =>
    group.handleRaw("record", ({ request }) => record(request)).handleRaw("store", ({ request }) => store(request))
  )
)

const recorded = auditedRoutes(Effect.all([trailRoutes, policyRoutes, explainRoute], { discard: true })).pipe(
  Layer.provide(GatekeeperAccess.layer)
)

/** Operations with a fast lane: the decisions that agents wait for at every action. */
export const fastRoutes: Effect.Effect<FastRoutes, never, AccessControl> = Effect.map(
  Effect.all([validate, evaluation, evaluations]),
  ([decision, one, several]) =>
    new Map([
      [contract.validate.path, decision],
      [contract.evaluation.path, one],
      [contract.evaluations.path, several]
    ])
)

/** The routes of the gatekeeper's contract. `report` is the state that `/health` and `/readyz` return. */
export const routes = (report: Effect.Effect<HealthReport>) => {
  const health = HttpApiBuilder.group(contract.GatekeeperApi, "health", answerHealth("gatekeeper", report))
  return Layer.mergeAll(decisions, authzen, ingest, recorded, health)
}
