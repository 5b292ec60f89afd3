import type { AuditEvent, RecorderMark } from "../domain/AuditEvent.ts"

/** Everybody, with `AUTH_DISABLED=true`. No token may name it, so a row of this ghost was never authenticated. */
export const anonymousGhost = "anonymous"

const marks: ReadonlyArray<RecorderMark> = ["auth:disabled"]

/** Marks the row of an event that `caller` brought, if nobody asked who that is; the event may name another. */
export const markBroughtBy = (caller: string | null, event: AuditEvent): AuditEvent =>
  caller === anonymousGhost ? { ...event, marks } : event

/** Marks the row of a caller whom nobody asked who it is. */
export const markAnonymous = (event: AuditEvent): AuditEvent => markBroughtBy(event.ghostId, event)
