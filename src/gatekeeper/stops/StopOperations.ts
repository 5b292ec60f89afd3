import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Api from "../../contracts/gatekeeper/GatekeeperApi.ts"
import { AccessControl } from "../AccessControl.ts"
import { audited, failureAs, type GatekeeperCaller } from "../GatekeeperAccess.ts"
import { StopRegister } from "./StopRegister.ts"

const operation = (endpoint: typeof Api.stopGhost | typeof Api.resumeGhost, effect: "stop" | "resume") =>
  Effect.flatMap(Effect.all([AccessControl, StopRegister]), ([access, register]) =>
    audited(endpoint, {
      event: `ghost.${effect}`,
      action: "write",
      fallbackResource: "ghosts",
      target: ({ path: { ghost }, payload: { reason = null } }) =>
        Effect.succeed({
          resource: `ghosts/${ghost}`,
          metadata: { event: `ghost.${effect}` },
          run: ({ ghostId: by, requestId }: GatekeeperCaller) =>
            Effect.gen(function* () {
              // Recorded before it takes effect: a stop without a record could not be explained.
              const auditId = yield* access
                .record({
                  action: `ghost.${effect}`,
                  resource: `ghosts/${ghost}`,
                  ghostId: by,
                  shellId: null,
                  result: "ALLOWED",
                  reason,
                  requestId,
                  metadata: { ghost_id: ghost }
                })
                .pipe(Effect.mapError(failureAs("audit_unavailable")))
              const { kept, revocation } = yield* register.enter({ kind: "ghost", subject: ghost, effect, by, reason })
              if (kept === "nowhere") {
                const message = `the ${effect} is in effect until this gatekeeper ends, and neither PostgreSQL nor its home keeps it: ask again`
                return yield* Effect.fail({ code: "stop_not_kept" as const, message })
              }
              return {
                status: kept === "table" ? 200 : 202,
                body: {
                  id: revocation.id,
                  ghost_id: ghost,
                  effect,
                  at: DateTime.formatIso(DateTime.unsafeMake(revocation.at)),
                  reason,
                  audit_id: auditId
                }
              }
            }).pipe(Effect.uninterruptible)
        })
    })
  )

/** `POST /ghosts/:ghost/stop` and `POST /ghosts/:ghost/resume`. */
export const stopRoutes = Effect.all([operation(Api.stopGhost, "stop"), operation(Api.resumeGhost, "resume")], {
  discard: true
})
