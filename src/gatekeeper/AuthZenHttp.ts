import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { errorResponse } from "../platform/http/ErrorBody.ts"
import { readJson } from "../platform/http/RequestBody.ts"
import { requestId } from "../platform/http/RequestId.ts"
import type { AccessControl, Allowed, AskedFor, Outcome } from "./AccessControl.ts"
import { nothingClaimed } from "./AccessRequest.ts"
import { statusOf } from "./Api.ts"
import { type Evaluations, parseEvaluation, parseEvaluations, type RawEvaluation, subjectOf } from "./AuthZenRequest.ts"
import { elseAuditUnavailable, refusalResponse } from "./Refusals.ts"

/** What a caller, the policy enforcement point, must be allowed before it may ask about others. */
const asking = { action: "execute", resource: "access/evaluation", metadata: {} }

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
  errorResponse({ status: statusOf.bad_request, code: "bad_request", message, requestId: id, auditId })

type Judged = Effect.Effect.Success<ReturnType<typeof AccessControl.Service.askFor>>

const evaluated = (outcome: Judged) => {
  if (outcome._tag === "Invalid") {
    const error = { status: statusOf.bad_request, message: outcome.message }
    return { decision: false, context: { audit_id: outcome.auditId, error } }
  }
  const { auditId, decision, policyVersion } = outcome
  const { matched, reason } = decision
  return {
    decision: decision.allowed,
    context: { audit_id: auditId, reason, matched, policy_version: policyVersion }
  }
}

/** Decides each evaluation by the policy that let the caller ask. */
const judge = (access: typeof AccessControl.Service, id: string, { ghostId, inForce }: Allowed) => {
  const question = (evaluation: RawEvaluation): AskedFor =>
    Either.match(parseEvaluation(evaluation, ghostId, inForce.policy.resourcePaths), {
      onLeft: (message) => ({
        requestId: id,
        ghostId: subjectOf(evaluation),
        access: Either.left({ message, claimed: { ...nothingClaimed, metadata: { asked_by: ghostId } } })
      }),
      onRight: (one) => ({ requestId: id, ghostId: one.ghostId, access: Either.right(one.access) })
    })
  const isLast = (semantic: Evaluations["semantic"], outcome: Judged): boolean => {
    const allowed = outcome._tag === "Allowed"
    return semantic === "deny_on_first_deny" ? !allowed : semantic === "permit_on_first_permit" && allowed
  }
  return ({ evaluations, semantic }: Evaluations) =>
    Effect.gen(function* () {
      const outcomes: Array<Judged> = []
      const asked: Array<AskedFor> = []
      for (const evaluation of evaluations) {
        const one = question(evaluation)
        const outcome = yield* access.askFor(one, inForce).pipe(
          // The answer is one for all: what was recorded of it so far reaches nobody.
          Effect.tapError(({ message }) =>
            Effect.forEach(outcomes, (before, index) => {
              const about = asked[index]
              return before._tag === "Invalid" || about === undefined
                ? Effect.void
                : access.withdraw(about, before, message)
            })
          )
        )
        asked.push(one)
        outcomes.push(outcome)
        if (isLast(semantic, outcome)) break
      }
      return outcomes
    })
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
    const outcomes = yield* judge(
      access,
      id,
      caller
    )(evaluations).pipe(Effect.tapError(({ message }) => access.withdraw(asked, caller, message)))
    if (!evaluations.single) return HttpServerResponse.unsafeJson({ evaluations: outcomes.map(evaluated) })
    const [only] = outcomes
    if (only === undefined || only._tag === "Invalid") {
      return badRequest(only?.message ?? "nothing was asked", id, only?.auditId ?? caller.auditId)
    }
    return HttpServerResponse.unsafeJson(evaluated(only))
  }, elseAuditUnavailable)

/** `POST /access/v1/evaluation`. */
export const evaluation = (access: typeof AccessControl.Service) =>
  handler(access, (body) => Either.right({ single: true, evaluations: [body], semantic: "execute_all" }))

/** `POST /access/v1/evaluations`. */
export const evaluations = (access: typeof AccessControl.Service) => handler(access, parseEvaluations)
