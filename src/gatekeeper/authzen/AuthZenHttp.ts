import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { statusOf } from "../../contracts/ErrorCodes.ts"
import { errorResponse } from "../../platform/http/ErrorResponse.ts"
import { readJson } from "../../platform/http/RequestBody.ts"
import { requestId } from "../../platform/http/RequestId.ts"
import type { AccessControl, Outcome } from "../AccessControl.ts"
import { elseAuditUnavailable, refusalResponse } from "../Refusals.ts"
import { asking, type Judged, judge } from "./AuthZenJudgement.ts"
import { type Evaluations, parseEvaluations, parseOne } from "./AuthZenRequest.ts"

interface Unreadable {
  readonly message: string
  readonly isTooLarge: boolean
}

const isJson = (request: HttpServerRequest.HttpServerRequest): boolean =>
  /^application\/json *(;|$)/i.test(request.headers["content-type"] ?? "")

/** The body as JSON; `content-type` is asked for as the specification asks (section 10.1). */
const bodyOf = (request: HttpServerRequest.HttpServerRequest) =>
  Effect.either(readJson(request)).pipe(
    Effect.map(
      Either.mapLeft(
        (error): Unreadable => ({
          message: error.message,
          isTooLarge: error._tag === "RequestBodyTooLarge"
        })
      )
    ),
    Effect.map((body) =>
      isJson(request) ? body : Either.left({ message: "the content-type must be application/json", isTooLarge: false })
    )
  )

const badRequest = (message: string, id: string, auditId: string) =>
  errorResponse({ status: statusOf("bad_request"), code: "bad_request", message, requestId: id, auditId })

const evaluated = (outcome: Judged) => {
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

const handler = (access: typeof AccessControl.Service, parse: (body: unknown) => Either.Either<Evaluations, string>) =>
  Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
    const id = requestId(request)
    const body = yield* bodyOf(request)
    const wanted = Either.flatMap(body, (json) =>
      Either.mapLeft(parse(json), (message): Unreadable => ({ message, isTooLarge: false }))
    )
    const asked = {
      requestId: id,
      access: Either.mapBoth(wanted, {
        onLeft: ({ message }) => ({ message, claimed: asking }),
        onRight: () => asking
      })
    }
    const authorization = request.headers["authorization"]
    const caller: Exclude<Outcome, { readonly _tag: "Known" }> = yield* access.ask({ ...asked, authorization })
    if (caller._tag === "Invalid" && Either.isLeft(wanted) && !wanted.left.isTooLarge) {
      return badRequest(caller.message, id, caller.auditId)
    }
    if (caller._tag !== "Allowed") return refusalResponse(caller, id, true)
    const evaluations = Either.getOrThrow(wanted)
    const outcomes = yield* judge(access, id, caller, evaluations)
    if (!evaluations.single) return HttpServerResponse.unsafeJson({ evaluations: outcomes.map(evaluated) })
    const [only] = outcomes
    if (only === undefined || only._tag === "Invalid") {
      return badRequest(only?.message ?? "nothing was asked", id, only?.auditId ?? caller.auditId)
    }
    return HttpServerResponse.unsafeJson(evaluated(only))
  }, elseAuditUnavailable)

/** `POST /access/v1/evaluation`. */
export const evaluation = (access: typeof AccessControl.Service) => handler(access, parseOne)

/** `POST /access/v1/evaluations`. */
export const evaluations = (access: typeof AccessControl.Service) => handler(access, parseEvaluations)
