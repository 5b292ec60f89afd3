import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { yieldNow } from "../../platform/os/EventLoop.ts"
import { type AccessControl, type Allowed, type AskedFor, type Decided, notGiven } from "../AccessControl.ts"
import { claimedOf, type Evaluations, parseEvaluation, type RawEvaluation, subjectOf } from "./AuthZenRequest.ts"

/** What a caller, the policy enforcement point, must be allowed before it may ask about others. */
export const asking = { action: "execute", resource: "access/evaluation", metadata: {} }

/** A row with all that a body can hold may cost a millisecond. */
const evaluationsInTurn = 8

export type Judged = Effect.Effect.Success<ReturnType<typeof AccessControl.Service.askFor>>

/** Decides each evaluation by the policy that let the caller ask. */
export const judge = (
  access: typeof AccessControl.Service,
  id: string,
  caller: Allowed,
  { evaluations, semantic }: Evaluations
) => {
  const { ghostId, inForce } = caller
  const question = (evaluation: RawEvaluation): AskedFor =>
    Either.match(parseEvaluation(evaluation, ghostId, inForce.policy.resourcePaths), {
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
  const isLast = (outcome: Judged): boolean => {
    const allowed = outcome._tag === "Allowed"
    return semantic === "deny_on_first_deny" ? !allowed : semantic === "permit_on_first_permit" && allowed
  }
  return Effect.suspend(() => {
    const outcomes: Array<Judged> = []
    const decided: Array<readonly [AskedFor, Decided]> = [
      [{ requestId: id, ghostId, access: Either.right(asking) }, caller]
    ]
    return Effect.gen(function* () {
      for (const [index, evaluation] of evaluations.entries()) {
        if (index % evaluationsInTurn === evaluationsInTurn - 1) yield* yieldNow
        const asked = question(evaluation)
        const outcome = yield* access.askFor(asked, inForce)
        if (outcome._tag !== "Invalid") decided.push([asked, outcome])
        outcomes.push(outcome)
        if (isLast(outcome)) break
      }
      return outcomes
    }).pipe(
      // The answer is one for all: what was recorded of it so far reaches nobody.
      Effect.onError((cause) =>
        Effect.forEach(decided, ([asked, one]) => access.withdraw(asked, one, notGiven(cause)), { discard: true })
      )
    )
  })
}
