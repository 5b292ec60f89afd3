import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { identity } from "effect/Function"
import { statusOf } from "../../contracts/ErrorCodes.ts"
import { errorResponse } from "../../platform/http/ErrorResponse.ts"
import { readJson } from "../../platform/http/RequestBody.ts"
import { requestId } from "../../platform/http/RequestId.ts"
import { type AccessControl, type Asked, orWithdrawn } from "../AccessControl.ts"
import { elseAuditUnavailable, refusalResponse } from "../Refusals.ts"
import { parseExplainRequest } from "./ExplainRequest.ts"
import { type Considered, explain } from "./Explanation.ts"
import type { PolicyInForce } from "./PolicyInForce.ts"

const fresh = { headers: { "cache-control": "no-store" } }

const policyQuestion = (request: HttpServerRequest.HttpServerRequest, action: "read" | "write"): Asked => ({
  authorization: request.headers["authorization"],
  requestId: requestId(request),
  access: Either.right({ action, resource: "policy", metadata: {} })
})

/** `GET /policy`. */
export const readPolicy = (access: typeof AccessControl.Service, policies: typeof PolicyInForce.Service) =>
  Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
    const outcome = yield* access.ask(policyQuestion(request, "read"))
    if (outcome._tag !== "Allowed") return refusalResponse(outcome, requestId(request))
    const { loadedAt, policy } = outcome.inForce
    const refused = yield* policies.refused
    return HttpServerResponse.unsafeJson(
      {
        version: policy.version,
        loaded_at: DateTime.formatIso(loadedAt),
        groups: Object.fromEntries([...policy.groups].map(([group, permissions]) => [group, { permissions }])),
        ghost_mappings: Object.fromEntries(policy.ghostMappings),
        resource_paths: Object.fromEntries(policy.resourcePaths),
        refused_reload: refused === null ? null : { at: DateTime.formatIso(refused.at), problems: refused.problems },
        audit_id: outcome.auditId
      },
      fresh
    )
  }, elseAuditUnavailable)

/** `POST /policy/reload`. */
export const reloadPolicy = (access: typeof AccessControl.Service, policies: typeof PolicyInForce.Service) =>
  Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
    const id = requestId(request)
    const asked = policyQuestion(request, "write")
    const outcome = yield* access.ask(asked)
    if (outcome._tag !== "Allowed") return refusalResponse(outcome, id)
    const { auditId, ghostId } = outcome
    return yield* policies.reload({ ghostId, requestId: id }).pipe(
      Effect.map(({ after, before }) =>
        HttpServerResponse.unsafeJson({ before, after, changed: before !== after, audit_id: auditId }, fresh)
      ),
      Effect.catchTag("PolicyRefused", ({ problems }) =>
        Effect.map(policies.current, ({ policy }) => {
          const lines = problems.map(({ column, line, problem }) => `${line}:${column} ${problem}`)
          return errorResponse({
            status: statusOf("policy_refused"),
            code: "policy_refused",
            message: `the policy file is refused, and policy ${policy.version} stays in force: ${lines.join("; ")}`,
            requestId: id,
            auditId,
            more: { problems, policy_version: policy.version }
          })
        })
      ),
      orWithdrawn(access, asked, outcome)
    )
  }, elseAuditUnavailable)

const ruleView = ({ decides, group, matches, permission, rule, why }: Considered) => ({
  group,
  rule,
  ...permission,
  matches,
  decides,
  why
})

/** `POST /explain`: a reading of the policy, and recorded as one; nothing is allowed by it. */
export const explainAccess = (access: typeof AccessControl.Service) =>
  Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
    const id = requestId(request)
    const body = yield* Effect.either(readJson(request))
    const wanted = Either.flatMap(body, parseExplainRequest)
    const claimed = { action: "explain", resource: "policy", metadata: {} }
    const caller = yield* access.identify({
      authorization: request.headers["authorization"],
      requestId: id,
      access: Either.mapBoth(wanted, {
        onLeft: ({ message }) => ({ message, claimed }),
        onRight: () => claimed
      })
    })
    if (caller._tag !== "Known") {
      return refusalResponse(caller, id, Either.isLeft(body) && body.left._tag === "RequestBodyTooLarge")
    }
    const { action, ghostId: about, resource } = Either.getOrThrow(wanted)
    const ghostId = about ?? caller.ghostId
    const question = { ghost_id: ghostId, action, resource }
    const reading = { action: "read", resource: "policy", metadata: { explain: question } }
    const asked = { requestId: id, ghostId: caller.ghostId, access: Either.right(reading) }
    const permission = ghostId === caller.ghostId ? undefined : yield* access.askFor(asked, caller.inForce)
    if (permission !== undefined && permission._tag !== "Allowed") return refusalResponse(permission, id)
    const { policy } = caller.inForce
    const { decision, rules } = explain(policy, { ghostId, action, resource })
    const auditId = yield* access
      .note({
        ...claimed,
        ghostId: caller.ghostId,
        shellId: null,
        result: "ALLOWED",
        reason: `policy ${policy.version}: explained, not decided`,
        requestId: id,
        metadata: question
      })
      .pipe(permission === undefined ? identity : orWithdrawn(access, asked, permission))
    return HttpServerResponse.unsafeJson(
      {
        ...question,
        ...decision,
        policy_version: policy.version,
        rules: rules.map(ruleView),
        audit_id: auditId
      },
      fresh
    )
  }, elseAuditUnavailable)
