import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { AuditLog } from "../audit/AuditLog.ts"
import { AuditReader } from "../audit/AuditReader.ts"
import { auditLogOptions } from "../audit/AuditSettings.ts"
import { AuditIngest } from "../audit/ingest/AuditIngest.ts"
import { TrailService } from "../audit/remote/TrailService.ts"
import { AuditLedger } from "../audit/sources/AuditLedger.ts"
import { byOwner } from "../audit/sources/RowAdmission.ts"
import { AuditStore } from "../audit/store/AuditStore.ts"
import * as PostgresAuditStore from "../audit/store/PostgresAuditStore.ts"
import { TreeIntegrator } from "../audit/tree/TreeIntegrator.ts"
import * as contract from "../contracts/gatekeeper/GatekeeperApi.ts"
import { auditedRoutes } from "../platform/http/Audited.ts"
import { type JsonResponse, jsonResponse, refusalJson } from "../platform/http/ErrorResponse.ts"
import { answerJson, type JsonOperation, type JsonRequest, type OperationsByPath } from "../platform/http/FastLane.ts"
import { answerHealth } from "../platform/http/Health.ts"
import { serve } from "../platform/http/HttpServer.ts"
import type { RequestSource } from "../platform/http/RequestContext.ts"
import { AccessControl, type AccessQuestion, type AuthenticatedOutcome, type Outcome } from "./AccessControl.ts"
import { emptyClaim, parseAccessRequest } from "./AccessRequest.ts"
import { configurationResponse, evaluation, evaluations, pointUrl } from "./authzen/AuthZenHttp.ts"
import { GatekeeperAccess } from "./GatekeeperAccess.ts"
import { gatekeeperMetrics, gatekeeperReport } from "./GatekeeperHealth.ts"
import { gatekeeperSchema } from "./GatekeeperSchema.ts"
import { ingestEvents } from "./ingest/IngestHttp.ts"
import { storeOperation } from "./ingest/StoreHttp.ts"
import { tokenEndpoint } from "./oauth/TokenEndpoint.ts"
import { explainRoute } from "./policy/ExplainOperation.ts"
import { PolicyInForce } from "./policy/PolicyInForce.ts"
import { policyRoutes } from "./policy/PolicyOperations.ts"
import { auditUnavailableJson, elseAuditUnavailableJson, refusalOf } from "./Refusals.ts"
import { ServiceKeys } from "./services/ServiceKeys.ts"
import { stopFeed } from "./stops/StopFeedHttp.ts"
import { stopRoutes } from "./stops/StopOperations.ts"
import { StopRegister } from "./stops/StopRegister.ts"
import { IssuedTokens } from "./tokens/IssuedTokens.ts"
import { tokenRoutes } from "./tokens/TokenOperations.ts"
import { Tokens } from "./tokens/Tokens.ts"
import { trailRoutes } from "./trail/TrailOperations.ts"

const validateQuestion = ({ authorization, body, isLocal, requestId }: JsonRequest): AccessQuestion => ({
  authorization,
  requestId,
  use: isLocal === undefined ? "decision" : isLocal ? "decision in this process" : "foreign in this process",
  access: Either.isLeft(body)
    ? Either.left({ message: body.left.message, claimed: emptyClaim })
    : parseAccessRequest(body.right)
})

const validateAnswer = (
  outcome: Exclude<Outcome, AuthenticatedOutcome>,
  { body, requestId }: JsonRequest
): JsonResponse => {
  if (outcome._tag !== "Allowed") {
    return refusalJson(refusalOf(outcome, Either.isLeft(body) ? body.left.code : undefined), requestId)
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
}

/** `POST /validate`: two lanes, and a parser of its own (AccessRequest.ts), since every action of every agent waits for it. */
const validate = Effect.map(AccessControl, (access): JsonOperation => {
  const operation = (request: JsonRequest) =>
    Effect.suspend(() => access.ask(validateQuestion(request))).pipe(
      Effect.map((outcome) => validateAnswer(outcome, request)),
      (answer) => elseAuditUnavailableJson(answer, request)
    )
  return Object.assign(operation, {
    atOnce: (request: JsonRequest, source: RequestSource) => {
      const outcome = access.askAtOnce(validateQuestion(request), source)
      if (outcome === undefined) return undefined
      return outcome._tag === "AuditUnavailable"
        ? auditUnavailableJson(outcome, request.requestId)
        : validateAnswer(outcome, request)
    }
  })
})

/** Operations with a fast lane: the decisions that agents wait for at every action. */
const fastRoutes: Effect.Effect<OperationsByPath, never, AccessControl> = Effect.map(
  Effect.all([validate, evaluation, evaluations]),
  ([decision, one, several]) =>
    new Map([
      [contract.validate.path, decision],
      [contract.evaluation.path, one],
      [contract.evaluations.path, several]
    ])
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

const tokens = HttpApiBuilder.group(contract.GatekeeperApi, "tokens", (group) =>
  Effect.map(tokenEndpoint, (answer) => group.handleRaw("token", ({ request }) => answer(request)))
)

const recorded = auditedRoutes(
  Effect.all([trailRoutes, policyRoutes, explainRoute, stopRoutes, stopFeed, tokenRoutes], { discard: true })
).pipe(Layer.provide(GatekeeperAccess.layer))

/** Tells the followers of stops which policy is in force: an answer in flight ends where the new policy does not allow it. */
const policyFeed = Layer.scopedDiscard(
  Effect.gen(function* () {
    const policies = yield* PolicyInForce
    const { book } = yield* StopRegister
    const announce = Effect.flatMap(policies.current, ({ policy }) => book.announcePolicy(policy.version))
    yield* announce
    yield* Effect.forkScoped(Effect.repeat(announce, Schedule.spaced("500 millis")))
  })
)

const accessControl = AccessControl.layer.pipe(
  Layer.provideMerge(PolicyInForce.layer),
  Layer.provideMerge(Tokens.layer),
  Layer.provideMerge(IssuedTokens.layer),
  Layer.provideMerge(ServiceKeys.layer)
)

const server = Layer.unwrapEffect(
  Effect.gen(function* () {
    const version = yield* gatekeeperSchema.version
    const health = HttpApiBuilder.group(
      contract.GatekeeperApi,
      "health",
      answerHealth("gatekeeper", yield* gatekeeperReport)
    )
    const options = { fastRoutes: yield* fastRoutes }
    return serve("gatekeeper", contract.GatekeeperApi, version.expected, options).pipe(
      Layer.provide([decisions, authzen, ingest, tokens, recorded, health])
    )
  })
)

const store = Layer.effect(
  AuditStore,
  Effect.map(Effect.all([AuditStore, AuditLedger]), ([store, ledger]) => AuditStore.of(byOwner(store, ledger)))
).pipe(Layer.provide(PostgresAuditStore.layer))

/** The trail of this process, on the gatekeeper's own tables. Its schema is migrated first. */
export const trail = Layer.unwrapEffect(Effect.map(auditLogOptions, AuditLog.layer)).pipe(
  Layer.provide(store),
  Layer.provide(AuditLedger.layer),
  Layer.provide(gatekeeperSchema.layer)
)

/**
 * The gatekeeper: who are you, and may you do this? Its schema is migrated before its port opens. It needs a trail, so the trail
 * starts before the port opens and closes after the last answer.
 */
export const layer = Layer.fresh(server).pipe(
  Layer.provide([policyFeed, gatekeeperMetrics, Layer.discard(TreeIntegrator.layer)]),
  Layer.provide([accessControl, AuditReader.layer, AuditIngest.layer, TrailService.layer]),
  Layer.provide(AuditLedger.layer),
  Layer.provide([StopRegister.stops, StopRegister.layer]),
  Layer.provide(gatekeeperSchema.layer)
)
