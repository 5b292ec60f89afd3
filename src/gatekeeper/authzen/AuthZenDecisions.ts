import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { yieldNow } from "../../platform/os/EventLoop.ts"
import {
  type AccessControl,
  type AllowedOutcome,
  type RecordedDecision,
  type SubjectQuestion,
  withdrawalReason
} from "../AccessControl.ts"
import { claimedOf, type Evaluations, parseEvaluation, type RawEvaluation, subjectOf } from "./AuthZenRequest.ts"

/** The permission that a caller, the policy enforcement point, needs before it may ask about others. */
export const evaluationPermission = { action: "execute", resource: "access/evaluation" }

/** Evaluations in one turn of the event loop: a row with all that a body can hold may cost a millisecond. */
const evaluationsInTurn = 8

export type EvaluationOutcome = Effect.Effect.Success<ReturnType<typeof AccessControl.Service.askFor>>

/** Decides each evaluation by the policy that let the caller ask. */
export const decideEvaluations = (
  access: typeof AccessControl.Service,
  id: string,
  caller: AllowedOutcome,
  { evaluations, semantic }: Evaluations
) => {
  const { ghostId, snapshot } = caller
  const questionOf = (evaluation: RawEvaluation): SubjectQuestion =>
    Either.match(parseEvaluation(evaluation, ghostId, snapshot.policy.resourcePaths), {
      onLeft: (message) => ({
        requestId: id,
        askedBy: ghostId,
        ghostId: subjectOf(evaluation),
        access: Either.left({ message, claimed: claimedOf(evaluation, ghostId) })
      }),
      onRight: (one) => ({
        requestId: id,
        askedBy: ghostId,
        ghostId: one.ghostId,
        access: Either.right(one.access)
      })
    })
  const isLast = (outcome: EvaluationOutcome): boolean => {
    const allowed = outcome._tag === "Allowed"
    return semantic === "deny_on_first_deny" ? !allowed : semantic === "permit_on_first_permit" && allowed
  }
  return Effect.suspend(() => {
    const outcomes: Array<EvaluationOutcome> = []
    const recorded: Array<readonly [SubjectQuestion, RecordedDecision]> = [
      [{ requestId: id, ghostId, access: Either.right(evaluationPermission) }, caller]
    ]
    return Effect.gen(function* () {
      for (const [index, evaluation] of evaluations.entries()) {
        if (index % evaluationsInTurn === evaluationsInTurn - 1) yield* yieldNow
        const question = questionOf(evaluation)
        const outcome = yield* access.askFor(question, snapshot)
        if (outcome._tag !== "Invalid") recorded.push([question, outcome])
        outcomes.push(outcome)
        if (isLast(outcome)) break
      }
      return outcomes
    }).pipe(
      // All evaluations have one answer. Where it fails, none of the decisions recorded so far reaches the caller.
      Effect.onError((cause) =>
        Effect.forEach(recorded, ([question, one]) => access.withdraw(question, one, withdrawalReason(cause)), {
          discard: true
        })
      )
    )
  })
}
