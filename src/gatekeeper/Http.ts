import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type { AuditUnavailable } from "../audit/AuditLog.ts"
import { AuditReader, type EventPage, type RecordedEvent } from "../audit/AuditReader.ts"
import { errorResponse } from "../platform/http/ErrorBody.ts"
import { answerHealth, type HealthReport } from "../platform/http/Health.ts"
import { readJson } from "../platform/http/RequestBody.ts"
import { requestId } from "../platform/http/RequestId.ts"
import { AccessControl, type Outcome } from "./AccessControl.ts"
import { nothingClaimed, parseAccessRequest } from "./AccessRequest.ts"
import { GatekeeperApi, statusOf } from "./Api.ts"
import { parseEventsQuery } from "./EventsQuery.ts"

/** RFC 6750, section 3: a request without credentials gets no error code. */
const challenge = (outcome: Outcome & { readonly _tag: "Unauthenticated" }): string =>
  outcome.cause.problem === "missing"
    ? 'Bearer realm="gravitas"'
    : `Bearer realm="gravitas", error="invalid_token", error_description="${outcome.cause.reason.replace(/["\\]/g, "'")}"`

type Refusal = Exclude<Outcome, { readonly _tag: "Allowed" }>

const refusalResponse = (outcome: Refusal, id: string): HttpServerResponse.HttpServerResponse => {
  const { auditId } = outcome
  switch (outcome._tag) {
    case "Denied":
      return errorResponse({
        status: statusOf.access_denied,
        code: "access_denied",
        message: `${outcome.ghostId} may not do this: ${outcome.decision.reason}`,
        detail: "Access denied by policy",
        requestId: id,
        auditId
      })
    case "Unauthenticated":
      return errorResponse({
        status: statusOf.unauthenticated,
        code: "unauthenticated",
        message: outcome.cause.reason,
        detail: outcome.cause.problem === "missing" ? "Missing Authorization header" : "Invalid or expired token",
        requestId: id,
        auditId,
        headers: { "www-authenticate": challenge(outcome) }
      })
    case "Invalid":
      return errorResponse({
        status: statusOf.invalid_request,
        code: "invalid_request",
        message: outcome.message,
        requestId: id,
        auditId
      })
  }
}

const auditUnavailable = (error: AuditUnavailable, id: string) =>
  errorResponse({
    status: statusOf.audit_unavailable,
    code: "audit_unavailable",
    message: error.message,
    requestId: id,
    headers: { "retry-after": "1" }
  })

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
        return HttpServerResponse.unsafeJson({
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

const eventRow = (event: RecordedEvent) => ({
  id: event.id,
  timestamp: DateTime.formatIso(event.timestamp),
  source: event.source,
  seq: event.seq,
  ghost_id: event.ghostId,
  shell_id: event.shellId,
  action: event.action,
  resource: event.resource,
  result: event.result,
  reason: event.reason,
  request_id: event.requestId,
  metadata: event.metadata,
  marks: event.marks,
  leaf_hash: event.leafHash
})

const pageResponse = (page: EventPage) =>
  HttpServerResponse.unsafeJson(
    { events: page.events.map(eventRow), next: page.next },
    { headers: { "cache-control": "no-store" } }
  )

const readEvents = (access: typeof AccessControl.Service, reader: typeof AuditReader.Service) =>
  Effect.fnUntraced(
    function* (request: HttpServerRequest.HttpServerRequest) {
      const id = requestId(request)
      const mark = request.url.indexOf("?")
      const search = mark === -1 ? "" : request.url.slice(mark + 1)
      const query = parseEventsQuery(new URLSearchParams(search))
      const claimed = { action: "read", resource: "audit/events", metadata: { query: search } }
      const outcome = yield* access.ask({
        authorization: request.headers["authorization"],
        requestId: id,
        access: Either.isLeft(query) ? Either.left({ message: query.left, claimed }) : Either.right(claimed)
      })
      if (outcome._tag !== "Allowed") return refusalResponse(outcome, id)
      // An invalid query never was `Allowed`.
      const page = yield* Effect.catchTag(reader.events(Either.getOrThrow(query)), "UnreadableCursor", Effect.die)
      return pageResponse(page)
    },
    (effect, request) =>
      Effect.catchTags(effect, {
        AuditUnavailable: (error) => Effect.succeed(auditUnavailable(error, requestId(request))),
        TrailUnreachable: ({ message }) =>
          Effect.succeed(
            errorResponse({
              status: statusOf.trail_unreachable,
              code: "trail_unreachable",
              message,
              requestId: requestId(request),
              headers: { "retry-after": "1" }
            })
          )
      })
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
    Effect.map(Effect.all([AccessControl, AuditReader]), ([access, reader]) => {
      const answer = readEvents(access, reader)
      return group.handleRaw("events", ({ request }) => answer(request))
    })
  )
  const health = HttpApiBuilder.group(GatekeeperApi, "health", answerHealth("gatekeeper", report))
  return HttpApiBuilder.api(GatekeeperApi).pipe(Layer.provide([decisions, trail, health]))
}
