import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { AuditUnavailable } from "../audit/AuditUnavailable.ts"
import { type ErrorCode, statusOf } from "../contracts/ErrorCodes.ts"
import { type Access, auditedBy, type Failure, type Question } from "../platform/http/Audited.ts"
import { Refusal } from "../platform/http/ErrorResponse.ts"
import { AccessControl, type AccessQuestion, type RecordedDecision, withdrawalReason } from "./AccessControl.ts"
import { refusalOf } from "./Refusals.ts"

/** A caller with a permission: the decision that gave it. */
export interface GatekeeperCaller extends RecordedDecision {
  readonly requestId: string
}

/** Makes the failure of an operation from an error of another room. */
export const failureAs =
  <Code extends ErrorCode>(code: Code) =>
  ({ message }: { readonly message: string }) => ({ code, message })

export const trailRefusal = ({ code, message }: AuditUnavailable) => new Refusal({ code, message })

/** The refusal of a failure. Field by field, since a copy of an error lacks its `message`. */
export const refusalOfFailure = ({ code, message, more }: Failure, auditId?: string) =>
  new Refusal({ code, message, more, auditId })

/** A failure with another status than 503 is an answer to the request, so its permission stays recorded. */
const isAnswer = (cause: Cause.Cause<Failure>): boolean =>
  Option.exists(Cause.failureOption(cause), ({ code }) => statusOf(code) !== 503)

const accessQuestion = (question: Question, problem?: Failure): AccessQuestion => {
  const { action, authorization, facts, requestId, resource } = question
  const claimed = { action, resource, facts }
  return {
    authorization,
    requestId,
    access: problem === undefined ? Either.right(claimed) : Either.left({ message: problem.message, claimed })
  }
}

/** Records a failure that is not the caller's, as DENIED, and fails with its code. */
export const denyBy =
  (access: typeof AccessControl.Service) =>
  ({ action, facts, requestId, resource }: Question, failure: Failure) =>
    access
      .record({
        action,
        resource,
        ghostId: null,
        shellId: null,
        result: "DENIED",
        reason: failure.message,
        requestId,
        facts
      })
      .pipe(
        Effect.mapError(trailRefusal),
        Effect.flatMap((auditId) => refusalOfFailure(failure, auditId))
      )

/**
 * Access to the gatekeeper's own endpoints. The row of a request is that of its decision, so nothing is recorded after the operation:
 * where there is no answer, the trail records the permission as withdrawn.
 */
export class GatekeeperAccess extends Context.Tag("gatekeeper/GatekeeperAccess")<
  GatekeeperAccess,
  Access<GatekeeperCaller, unknown>
>() {
  static readonly layer = Layer.effect(
    GatekeeperAccess,
    Effect.map(AccessControl, (access) => {
      const refuseMalformed = (question: Question, problem: Failure) =>
        Effect.flatMap(Effect.mapError(access.ask(accessQuestion(question, problem)), trailRefusal), (outcome) =>
          outcome._tag === "Allowed"
            ? Effect.dieMessage("a question with a problem was allowed")
            : new Refusal(refusalOf(outcome, problem.code))
        )
      return GatekeeperAccess.of({
        authorize: (question) => {
          const asked = accessQuestion(question)
          return Effect.flatMap(Effect.mapError(access.ask(asked), trailRefusal), (outcome) => {
            if (outcome._tag !== "Allowed") return new Refusal(refusalOf(outcome))
            const { auditId } = outcome
            return Effect.succeed({
              caller: { ...outcome, requestId: question.requestId },
              settle: (run) =>
                run.pipe(
                  Effect.onError((cause) =>
                    isAnswer(cause) ? Effect.void : access.withdraw(asked, outcome, withdrawalReason(cause))
                  ),
                  Effect.mapBoth({
                    onFailure: (failure) =>
                      refusalOfFailure(
                        failure,
                        failure.code === "audit_unavailable" ? undefined : (failure.auditId ?? auditId)
                      ),
                    onSuccess: (reply) => ({ reply, auditId })
                  })
                )
            })
          })
        },
        refuseMalformed,
        refuse: denyBy(access)
      })
    })
  )
}

export const audited = auditedBy(GatekeeperAccess)
