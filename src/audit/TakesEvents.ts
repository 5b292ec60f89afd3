import * as Effect from "effect/Effect"
import type { AuditLog } from "./AuditLog.ts"
import type { AuditStatus } from "./AuditStatus.ts"

export interface TakesEvents {
  readonly takesEvents: boolean
  /** Why not, for whoever reads `/health`. */
  readonly warnings?: ReadonlyArray<string>
}

const reasonOf = ({ drain }: AuditStatus): string => ("reason" in drain ? `: ${drain.reason}` : "")

/** What a service that records must know before it calls itself ready: without a record nothing is decided. */
export const takesEvents = (trail: typeof AuditLog.Service): Effect.Effect<TakesEvents> =>
  Effect.map(trail.status, (status) =>
    status.accepting
      ? { takesEvents: true }
      : {
          takesEvents: false,
          warnings: [`the audit trail takes no event, so nothing is decided${reasonOf(status)}`]
        }
  )
