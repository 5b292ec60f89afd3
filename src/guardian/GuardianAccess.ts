import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLog } from "../audit/AuditLog.ts"
import { type Authorized, GatekeeperClient } from "../clients/GatekeeperClient.ts"
import type { PeerUnavailable } from "../clients/PeerCall.ts"
import type { AuditEvent, AuditResult, Facts } from "../domain/AuditEvent.ts"
import { type Access, auditedBy, type Failure, fault, type Grant, type Question } from "../platform/http/Audited.ts"
import { bearerChallenge, Refusal } from "../platform/http/ErrorResponse.ts"
import type { DatabaseUnavailable } from "./GuardianDatabase.ts"

/** The trail's part of a reply: the row that says what was done. */
export interface Recorded {
  readonly reason: string
  readonly facts?: Facts
  readonly marks?: AuditEvent["marks"]
  /** Takes back what the trail cannot record; left out where nothing was changed. `final`: it stays in effect, and the log says so. */
  readonly compensate?: Effect.Effect<unknown, DatabaseUnavailable> | "final"
}

export interface Caller extends Authorized {
  readonly requestId: string
}

/** Asks the gatekeeper, which records its refusals itself; runs, and records every other outcome under the same request id; then answers. */
export class GuardianAccess extends Context.Tag("guardian/GuardianAccess")<GuardianAccess, Access<Caller, Recorded>>() {
  static readonly layer = Layer.effect(
    GuardianAccess,
    Effect.map(Effect.all([AuditLog, GatekeeperClient]), ([trail, gatekeeper]) => make(trail, gatekeeper))
  )
}

export const audited = auditedBy(GuardianAccess)

/** Takes back what the trail cannot record. Logs an alarm where it stays in effect. */
const compensate = ({ event, resource }: Question, { compensate }: Recorded): Effect.Effect<unknown> => {
  const logFinal = (why: string) =>
    Effect.logError(`ALARM: ${event} on ${resource} has no row in the trail and stays in effect${why}`)
  if (compensate === undefined) return Effect.void
  return compensate === "final" ? logFinal("") : Effect.catchAll(compensate, (error) => logFinal(`: ${error.reason}`))
}

/** Asks the gatekeeper, with a token that may be addressed to the guardian. */
const askWith =
  (gatekeeper: typeof GatekeeperClient.Service) =>
  ({ action, authorization, event, requestId, resource }: Question) =>
    gatekeeper
      .authorize({
        authorization,
        requestId,
        addressee: "guardian",
        action,
        resource,
        metadata: { service: "guardian", event }
      })
      .pipe(
        Effect.catchTag("NotAuthorized", ({ auditId, code, reason }) =>
          Effect.fail(
            new Refusal({
              code,
              message: reason,
              auditId,
              ...(code === "unauthenticated" && {
                headers: bearerChallenge(authorization === undefined ? undefined : reason)
              })
            })
          )
        )
      )

const isOfStranger = ({ code }: Refusal): boolean => code === "unauthenticated" || code === "too_many_failures"

/** Records what came of a question; fails with the error that its caller gets. */
const recordBy =
  (trail: typeof AuditLog.Service) =>
  (
    { event, requestId, resource }: Question,
    result: AuditResult,
    ghostId: string | null,
    reason: string,
    {
      isAuthenticated = false,
      facts = {},
      marks = []
    }: Pick<Recorded, "facts" | "marks"> & Pick<AuditEvent, "isAuthenticated"> = {}
  ) => {
    const recorded = {
      action: event,
      resource,
      ghostId,
      isAuthenticated,
      shellId: null,
      result,
      reason,
      requestId,
      facts,
      marks
    }
    return Effect.mapError(trail.record(recorded), ({ code, message }) => new Refusal({ code, message }))
  }

const make = (trail: typeof AuditLog.Service, gatekeeper: typeof GatekeeperClient.Service) => {
  const ask = askWith(gatekeeper)
  const record = recordBy(trail)

  const deny = (
    question: Question,
    { code, message }: Failure,
    ghostId: string | null,
    result: AuditResult = "DENIED",
    isAuthenticated = false
  ) =>
    Effect.flatMap(
      record(question, result, ghostId, message, { isAuthenticated }),
      (auditId) => new Refusal({ code, message, auditId })
    )

  const denyUnavailable = (question: Question) => (absent: PeerUnavailable) =>
    deny(question, { code: "peer_unavailable", message: absent.message }, null)

  const settle =
    (question: Question, { ghostId }: Caller): Grant<Caller, Recorded>["settle"] =>
    (run) =>
      run.pipe(
        Effect.tapDefect(() => Effect.ignore(deny(question, fault, ghostId))),
        Effect.catchAll((failure) => deny(question, failure, ghostId)),
        Effect.flatMap((reply) =>
          record(question, "ALLOWED", ghostId, reply.reason, reply).pipe(
            Effect.tapError(() => compensate(question, reply)),
            Effect.map((auditId) => ({ auditId, reply }))
          )
        ),
        // A caller that leaves now gets no answer, but what was done has its row.
        Effect.uninterruptible
      )

  return GuardianAccess.of({
    authorize: (question) =>
      ask(question).pipe(
        Effect.catchTag("PeerUnavailable", denyUnavailable(question)),
        Effect.map((authorized) => {
          const caller = { ...authorized, requestId: question.requestId }
          return { caller, settle: settle(question, caller), compensate: (reply) => compensate(question, reply) }
        })
      ),
    refuseMalformed: (question, problem) =>
      ask(question).pipe(
        Effect.map(({ ghostId }) => ghostId),
        Effect.catchTags({
          // What the caller may do does not matter here: only that the gatekeeper knows it.
          Refusal: (refusal) => (isOfStranger(refusal) ? Effect.fail(refusal) : Effect.succeed(null)),
          PeerUnavailable: denyUnavailable(question)
        }),
        Effect.flatMap((ghostId) => deny(question, problem, ghostId, "INVALID", true))
      ),
    refuse: (question, failure) => deny(question, failure, null)
  })
}
