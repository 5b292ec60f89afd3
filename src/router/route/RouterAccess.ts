import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AuditLog } from "../../audit/AuditLog.ts"
import { type Authorized, GatekeeperClient } from "../../clients/GatekeeperClient.ts"
import { refusalCodes } from "../../contracts/router/RouterErrors.ts"
import type { Facts } from "../../domain/AuditEvent.ts"
import { type Access, auditedBy, type Failure, type Question } from "../../platform/http/Audited.ts"
import type { Refusal } from "../../platform/http/ErrorResponse.ts"
import { refusalOfDenial, refusalOfTrail, routeRefused } from "./RouteRefused.ts"

/** Decides about the router's reads. The gatekeeper records them; the router itself records only what could not be decided. */
export class RouterAccess extends Context.Tag("router/route/RouterAccess")<
  RouterAccess,
  Access<Authorized, unknown>
>() {
  static readonly layer = Layer.effect(
    RouterAccess,
    Effect.map(Effect.all([AuditLog, GatekeeperClient]), ([trail, gatekeeper]) => make(trail, gatekeeper))
  )
}

export const audited = auditedBy(RouterAccess)

const refusalOf = ({ code, field, message }: Failure, auditId?: string): Refusal => {
  const known = refusalCodes.find((one) => one === code) ?? "internal_error"
  return routeRefused({ code: known, reason: message, param: field, auditId })
}

const make = (trail: typeof AuditLog.Service, gatekeeper: typeof GatekeeperClient.Service) => {
  const deny = ({ requestId }: Question, failure: Failure, facts: Facts) =>
    trail
      .record({
        action: "route",
        resource: null,
        ghostId: null,
        shellId: null,
        result: "DENIED",
        reason: failure.message,
        requestId,
        facts: { code: failure.code, ...facts }
      })
      .pipe(
        Effect.mapError(refusalOfTrail),
        Effect.flatMap((auditId) => refusalOf(failure, auditId))
      )

  const ask = (question: Question) => {
    const { action, authorization, requestId, resource } = question
    return gatekeeper.authorize({ authorization, requestId, action, resource }).pipe(
      Effect.catchTags({
        NotAuthorized: refusalOfDenial,
        PeerUnavailable: ({ message, peer }) => deny(question, { code: "peer_unavailable", message }, { peer })
      })
    )
  }

  return RouterAccess.of({
    authorize: (question) =>
      Effect.map(ask(question), (caller) => ({
        caller,
        settle: (run) =>
          Effect.mapBoth(run, {
            onFailure: (failure) => refusalOf(failure, caller.auditId),
            onSuccess: (reply) => ({ reply, auditId: caller.auditId })
          })
      })),
    // The gatekeeper records who asked for what cannot be understood; a caller whom it denies learns no more than that.
    refuseMalformed: (question, problem) => Effect.flatMap(ask(question), () => refusalOf(problem)),
    refuse: (question, failure) => deny(question, failure, {})
  })
}
