import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { identity } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Api from "../../contracts/gatekeeper/GatekeeperApi.ts"
import { type Access, auditedBy, type Failure, type Question } from "../../platform/http/Audited.ts"
import { Refusal } from "../../platform/http/ErrorResponse.ts"
import { AccessControl, withdrawOnFailure } from "../AccessControl.ts"
import { denyBy, failureAs, refusalOfFailure, trailRefusal } from "../GatekeeperAccess.ts"
import { refusalOf } from "../Refusals.ts"
import { explain, type RuleExplanation } from "./Explanation.ts"
import { groupFinder } from "./GhostGroups.ts"
import type { PolicySnapshot } from "./PolicyInForce.ts"

interface ExplainCaller {
  readonly ghostId: string
  /** The ghost that the question is about. */
  readonly subject: string
  readonly requestId: string
  readonly snapshot: PolicySnapshot
}

const claimed = { action: "explain", resource: "policy" }

/** A caller may ask about itself. To ask about another ghost it needs `read` on `policy`, and that permission has its own row. */
class ExplainAccess extends Context.Tag("gatekeeper/ExplainAccess")<
  ExplainAccess,
  Access<ExplainCaller, { readonly auditId: string }>
>() {
  static readonly layer = Layer.effect(
    ExplainAccess,
    Effect.map(AccessControl, (access) => {
      const identify = ({ authorization, requestId }: Question, problem?: Failure) =>
        access
          .identify({
            authorization,
            requestId,
            access: problem === undefined ? Either.right(claimed) : Either.left({ message: problem.message, claimed })
          })
          .pipe(
            Effect.mapError(trailRefusal),
            Effect.flatMap((caller) =>
              caller._tag === "Authenticated" ? Effect.succeed(caller) : new Refusal(refusalOf(caller, problem?.code))
            )
          )
      const refuseMalformed = (question: Question, problem: Failure) =>
        Effect.zipRight(identify(question, problem), Effect.dieMessage("a question with a problem was accepted"))
      return ExplainAccess.of({
        authorize: Effect.fnUntraced(function* (question) {
          const { facts, requestId } = question
          const { ghostId, snapshot } = yield* identify(question)
          const subject = typeof facts.ghost_id === "string" ? facts.ghost_id : ghostId
          const reading = {
            requestId,
            ghostId,
            access: Either.right({ action: "read", resource: "policy", facts: { explain: facts } })
          }
          const permission =
            subject === ghostId ? undefined : yield* Effect.mapError(access.askFor(reading, snapshot), trailRefusal)
          if (permission !== undefined && permission._tag !== "Allowed")
            return yield* new Refusal(refusalOf(permission))
          return {
            caller: { ghostId, subject, requestId, snapshot },
            settle: (run) =>
              run.pipe(
                permission === undefined ? identity : withdrawOnFailure(access, reading, permission),
                Effect.mapBoth({
                  onFailure: (failure) => refusalOfFailure(failure),
                  onSuccess: (reply) => ({ reply, auditId: reply.auditId })
                })
              )
          }
        }),
        refuseMalformed,
        refuse: (question, failure) => denyBy(access)({ ...question, ...claimed }, failure)
      })
    })
  )
}

const ruleView = ({ decides, group, matches, permission, rule, why }: RuleExplanation) => ({
  group,
  rule,
  ...permission,
  matches,
  decides,
  why
})

/** `POST /explain`: a reading of the policy, and recorded as one. It permits nothing. */
export const explainRoute = Effect.flatMap(AccessControl, (access) =>
  auditedBy(ExplainAccess)(Api.explain, {
    event: "explain",
    action: "read",
    fallbackResource: "policy",
    target: ({ payload: { action, ghost_id, resource } }) =>
      Effect.succeed({
        resource: "policy",
        facts: { ghost_id, action, resource },
        run: ({ ghostId, requestId, snapshot: { policy }, subject }: ExplainCaller) => {
          const question = { ghost_id: subject, action, resource }
          const { decision, omitted, rules } = explain(policy, { ghostId: subject, action, resource })
          const event = {
            ...claimed,
            ghostId,
            shellId: null,
            result: "ALLOWED" as const,
            reason: `policy ${policy.version}: explained, not decided`,
            requestId,
            facts: question
          }
          return Effect.mapBoth(access.record(event), {
            onFailure: failureAs("audit_unavailable"),
            onSuccess: (auditId) => ({
              auditId,
              body: {
                ...question,
                ...(access.stopped(subject) ?? decision),
                group_sources: groupFinder(policy)(subject),
                policy_version: policy.version,
                rules: rules.map(ruleView),
                rules_omitted: omitted,
                audit_id: auditId
              }
            })
          })
        }
      })
  })
).pipe(Effect.provide(ExplainAccess.layer))
