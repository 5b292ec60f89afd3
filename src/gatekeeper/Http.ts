import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { AuditLedger } from "../audit/AuditLedger.ts"
import { AuditLog } from "../audit/AuditLog.ts"
import { AuditReader } from "../audit/AuditReader.ts"
import { errorResponse } from "../platform/http/ErrorBody.ts"
import { answerHealth, type HealthReport } from "../platform/http/Health.ts"
import { jsonResponse } from "../platform/http/JsonResponse.ts"
import { readJson } from "../platform/http/RequestBody.ts"
import { requestId } from "../platform/http/RequestId.ts"
import { AccessControl } from "./AccessControl.ts"
import { nothingClaimed, parseAccessRequest } from "./AccessRequest.ts"
import { GatekeeperApi, statusOf } from "./Api.ts"
import { auditUnavailable, refusalResponse } from "./Refusals.ts"
import { readEvents, readPipeline } from "./TrailHttp.ts"

const validate = (access: typeof AccessControl.Service) =>
  Effect.fnUntraced(
    function* (request: HttpServerRequest.HttpServerRequest) {
      const id = requestId(request)
      const body = yield* Effect.either(readJson(request))
      const outcome = yield* access.ask({
        authorization: request.headers["authorization"],
        requestId: id,
        access: Either.isLeft(body)
          ? Either.left({ message: body.left.message, claimed: nothingClaimed })
          : parseAccessRequest(body.right)
      })
      if (outcome._tag === "Allowed") {
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
      }
      if (outcome._tag === "Invalid" && Either.isLeft(body) && body.left._tag === "RequestBodyTooLarge") {
        const { message } = body.left
        const { auditId } = outcome
        return errorResponse({
          status: statusOf.body_too_large,
          code: "body_too_large",
          message,
          requestId: id,
          auditId
        })
      }
      return refusalResponse(outcome, id)
    },
    (effect, request) =>
      Effect.catchTag(effect, "AuditUnavailable", (error) =>
        Effect.succeed(auditUnavailable(error, requestId(request)))
      )
  )

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
  const health = HttpApiBuilder.group(GatekeeperApi, "health", answerHealth("gatekeeper", report))
  return HttpApiBuilder.api(GatekeeperApi).pipe(Layer.provide([decisions, trail, health]))
}
