import type { AuditEvent, RecorderMark } from "../../domain/AuditEvent.ts"

/** Everybody, with `AUTH_DISABLED=true`. No token may name it, so a row of this ghost was never authenticated. */
export const anonymousGhost = "anonymous"

const marks: ReadonlyArray<RecorderMark> = ["auth:disabled"]

/** Marks what was asked, or brought, by a caller whom nobody asked who it is, whomever it is about. */
export const markAnonymous = (event: AuditEvent, askedBy = event.ghostId): AuditEvent =>
  askedBy === anonymousGhost ? { ...event, marks } : event
