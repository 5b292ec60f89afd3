import * as Effect from "effect/Effect"
import type { AuditLog } from "../../audit/AuditLog.ts"
import type { GatekeeperClient, NotAuthorized } from "../../clients/GatekeeperClient.ts"
import type { PeerUnavailable } from "../../clients/PeerUnavailable.ts"
import { unknownShellResource } from "../models/ShellResource.ts"
import type { ChatRequestContext } from "./ChatRequestContext.ts"
import { recordRouteEvent } from "./RouteAudit.ts"
import { type RouteRefused, refusalOfTrail, refused } from "./RouteRefused.ts"

/** The gatekeeper recorded this itself. */
export const refusalOfDenial = ({ auditId, code, reason }: NotAuthorized): RouteRefused =>
  refused({ code: code === "unauthenticated" ? "unauthenticated" : "access_denied", reason, auditId })

/** Who has to be asked cannot be: refused, and recorded here. */
export const refusalOfUnavailable = (
  trail: typeof AuditLog.Service,
  context: ChatRequestContext,
  absent: PeerUnavailable
) =>
  recordRouteEvent(trail, context, {
    action: "route",
    result: "DENIED",
    reason: absent.message,
    metadata: { code: "peer_unavailable", peer: absent.peer }
  }).pipe(
    Effect.map((auditId) => refused({ code: "peer_unavailable", reason: absent.message, auditId })),
    Effect.catchAll((error) => Effect.succeed(refusalOfTrail(error)))
  )

/**
 * Finds out who asks for what cannot be routed, a name that nobody has or a body that cannot be read, before the answer tells
 * anything: the gatekeeper is asked about a shell of no tier. Whether it would allow that one makes no difference.
 */
export const identifyCaller = (
  gatekeeper: typeof GatekeeperClient.Service,
  trail: typeof AuditLog.Service,
  context: ChatRequestContext,
  model: string
): Effect.Effect<void, RouteRefused> =>
  gatekeeper
    .authorize({
      authorization: context.authorization,
      requestId: context.requestId,
      action: "execute",
      resource: unknownShellResource(model)
    })
    .pipe(
      Effect.flatMap(({ ghostId }) =>
        Effect.sync(() => {
          context.ghostId = ghostId
        })
      ),
      Effect.catchTags({
        NotAuthorized: (denial) =>
          denial.code === "unauthenticated" ? Effect.fail(refusalOfDenial(denial)) : Effect.void,
        PeerUnavailable: (absent) => Effect.flatMap(refusalOfUnavailable(trail, context, absent), Effect.fail)
      })
    )
