import type { AuditEvent, RecorderMark } from "../domain/AuditEvent.ts"

/** Everybody, with `AUTH_DISABLED=true`. No token may name it, so a row of this ghost was never authenticated. */
export const anonymousGhost = "anonymous"

const marks: ReadonlyArray<RecorderMark> = ["auth:disabled"]

/** Marks the row of a caller whom nobody asked who it is. */
export const markAnonymous = (event: AuditEvent): AuditEvent =>
  event.ghostId === anonymousGhost ? { ...event, marks } : event
