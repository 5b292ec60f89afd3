import * as Effect from "effect/Effect"
import type { AuditLog } from "../../audit/AuditLog.ts"
import { GatekeeperClient, type NotAuthorized } from "../../clients/GatekeeperClient.ts"
import type { PeerUnavailable } from "../../clients/PeerCall.ts"
import { unknownShellResource } from "../models/ShellResource.ts"
import type { ChatRequestContext } from "./ChatRequestContext.ts"
import { recordRouteEvent } from "./RouteAudit.ts"
import { type RouteRefused, refusalOfTrail, refused } from "./RouteRefused.ts"

/** The refusal for a denial that the gatekeeper recorded. */
export const refusalOfDenial = ({ auditId, code, reason }: NotAuthorized): RouteRefused =>
  refused({ code: code === "unauthenticated" ? "unauthenticated" : "access_denied", reason, auditId })

/** Refuses and records a request whose peer is unavailable. */
export const refuseUnavailable = (
  context: ChatRequestContext,
  { message: reason, peer }: PeerUnavailable
): Effect.Effect<never, RouteRefused, AuditLog> =>
  recordRouteEvent(context, {
    action: "route",
    result: "DENIED",
    reason,
    metadata: { code: "peer_unavailable", peer }
  }).pipe(
    Effect.mapError(refusalOfTrail),
    Effect.flatMap((auditId) => refused({ code: "peer_unavailable", reason, auditId }))
  )

/**
 * Finds out who the caller of a request is that cannot be routed: an unknown model, or a malformed body. It asks the gatekeeper about
 * a shell of no tier, and ignores whether that would be allowed. Only an unauthenticated caller is refused.
 */
export const identifyCaller = (
  context: ChatRequestContext,
  model: string
): Effect.Effect<void, RouteRefused, GatekeeperClient | AuditLog> =>
  Effect.gen(function* () {
    const gatekeeper = yield* GatekeeperClient
    const { authorization, requestId } = context
    const { ghostId } = yield* gatekeeper.authorize({
      authorization,
      requestId,
      action: "execute",
      resource: unknownShellResource(model)
    })
    context.ghostId = ghostId
  }).pipe(
    Effect.catchTags({
      NotAuthorized: (denial) =>
        denial.code === "unauthenticated" ? Effect.fail(refusalOfDenial(denial)) : Effect.void,
      PeerUnavailable: (unavailable) => refuseUnavailable(context, unavailable)
    })
  )
