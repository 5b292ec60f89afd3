import * as Effect from "effect/Effect"
import type { AuditLog } from "../audit/AuditLog.ts"
import type { GatekeeperClient, NotAuthorized } from "../clients/GatekeeperClient.ts"
import type { PeerUnavailable } from "../clients/PeerUnavailable.ts"
import type { Course } from "./Course.ts"
import { type RouteRefused, refusalOfTrail, refused } from "./route/RouteRefused.ts"
import { unknownShellResource } from "./route/ShellResource.ts"
import { tell } from "./Trail.ts"

/** The gatekeeper recorded this itself. */
export const refusalOfDenial = ({ auditId, code, reason }: NotAuthorized): RouteRefused =>
  refused({ code: code === "unauthenticated" ? "unauthenticated" : "access_denied", reason, auditId })

/** Who has to be asked cannot be: refused, and recorded here. */
export const refusalOfAbsence = (trail: typeof AuditLog.Service, course: Course, absent: PeerUnavailable) =>
  tell(trail, course, {
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
export const identify = (
  gatekeeper: typeof GatekeeperClient.Service,
  trail: typeof AuditLog.Service,
  course: Course,
  model: string
): Effect.Effect<void, RouteRefused> =>
  gatekeeper
    .authorize({
      authorization: course.authorization,
      requestId: course.requestId,
      action: "execute",
      resource: unknownShellResource(model)
    })
    .pipe(
      Effect.flatMap(({ ghostId }) =>
        Effect.sync(() => {
          course.ghostId = ghostId
        })
      ),
      Effect.catchTags({
        NotAuthorized: (denial) =>
          denial.code === "unauthenticated" ? Effect.fail(refusalOfDenial(denial)) : Effect.void,
        PeerUnavailable: (absent) => Effect.flatMap(refusalOfAbsence(trail, course, absent), Effect.fail)
      })
    )
