import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { AuditLog } from "../audit/AuditLog.ts"
import { AuditReader } from "../audit/AuditReader.ts"
import { AuditIngest } from "../audit/ingest/AuditIngest.ts"
import { TrailService } from "../audit/remote/TrailService.ts"
import { AuditLedger } from "../audit/sources/AuditLedger.ts"
import { GatekeeperApi } from "../contracts/gatekeeper/GatekeeperApi.ts"
import { answerHealth, type HealthReport } from "../platform/http/Health.ts"
import { jsonResponse } from "../platform/http/JsonResponse.ts"
import { readJson } from "../platform/http/RequestBody.ts"
import { requestId } from "../platform/http/RequestId.ts"
import { AccessControl } from "./AccessControl.ts"
import { nothingClaimed, parseAccessRequest } from "./AccessRequest.ts"
import { evaluation, evaluations } from "./authzen/AuthZenHttp.ts"
import { configurationResponse, pointUrl } from "./authzen/AuthZenMetadata.ts"
import { ingestEvents } from "./ingest/IngestHttp.ts"
import { keepStore } from "./ingest/StoreHttp.ts"
import { explainAccess, readPolicy, reloadPolicy } from "./policy/PolicyHttp.ts"
import { PolicyInForce } from "./policy/PolicyInForce.ts"
import { elseAuditUnavailable, refusalResponse } from "./Refusals.ts"
import { readEvents, readPipeline } from "./trail/TrailHttp.ts"

const validate = (access: typeof AccessControl.Service) =>
  Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
    const id = requestId(request)
    const body = yield* Effect.either(readJson(request))
    const outcome = yield* access.ask({
      authorization: request.headers["authorization"],
      requestId: id,
      access: Either.isLeft(body)
        ? Either.left({ message: body.left.message, claimed: nothingClaimed })
        : parseAccessRequest(body.right)
    })
    if (outcome._tag !== "Allowed") {
      return refusalResponse(outcome, id, Either.isLeft(body) && body.left._tag === "RequestBodyTooLarge")
    }
    const { decision } = outcome
    return jsonResponse({
      allowed: true,
      ghost_id: outcome.ghostId,
      groups: decision.groups,
      audit_id: outcome.auditId,
      reason: decision.reason,
      matched: decision.matched,
      policy_version: outcome.policyVersion
    })
  }, elseAuditUnavailable)

/** The handlers of the gatekeeper's contract. `report` is what `/health` and `/readyz` tell. */
export const handlers = (report: Effect.Effect<HealthReport>) => {
  const decisions = HttpApiBuilder.group(GatekeeperApi, "decisions", (group) =>
    Effect.map(AccessControl, (access) => {
      const answer = validate(access)
      return group.handleRaw("validate", ({ request }) => answer(request))
    })
  )
  const trail = HttpApiBuilder.group(GatekeeperApi, "trail", (group) =>
    Effect.map(Effect.all([AccessControl, AuditReader, AuditLog, AuditLedger]), ([access, reader, log, ledger]) => {
      const events = readEvents(access, reader)
      const pipeline = readPipeline(access, log.status, ledger)
      return group
        .handleRaw("events", ({ request }) => events(request))
        .handleRaw("pipeline", ({ request }) => pipeline(request))
    })
  )
  const policy = HttpApiBuilder.group(GatekeeperApi, "policy", (group) =>
    Effect.map(Effect.all([AccessControl, PolicyInForce]), ([access, policies]) => {
      const read = readPolicy(access, policies)
      const reload = reloadPolicy(access, policies)
      const explain = explainAccess(access)
      return group
        .handleRaw("policy", ({ request }) => read(request))
        .handleRaw("reload", ({ request }) => reload(request))
        .handleRaw("explain", ({ request }) => explain(request))
    })
  )
  const authzen = HttpApiBuilder.group(GatekeeperApi, "authzen", (group) =>
    Effect.map(Effect.all([AccessControl, pointUrl]), ([access, url]) => {
      const one = evaluation(access)
      const several = evaluations(access)
      return group
        .handleRaw("evaluation", ({ request }) => one(request))
        .handleRaw("evaluations", ({ request }) => several(request))
        .handleRaw("configuration", () => Effect.map(url, configurationResponse))
    })
  )
  const ingest = HttpApiBuilder.group(GatekeeperApi, "ingest", (group) =>
    Effect.map(Effect.all([AccessControl, AuditIngest, TrailService]), ([access, events, service]) => {
      const record = ingestEvents(access, events)
      const store = keepStore(access, service)
      return group
        .handleRaw("record", ({ request }) => record(request))
        .handleRaw("store", ({ request }) => store(request))
    })
  )
  const health = HttpApiBuilder.group(GatekeeperApi, "health", answerHealth("gatekeeper", report))
  return HttpApiBuilder.api(GatekeeperApi).pipe(Layer.provide([decisions, trail, ingest, policy, authzen, health]))
}
