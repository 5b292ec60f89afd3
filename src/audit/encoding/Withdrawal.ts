import type { AuditEvent } from "../../domain/AuditEvent.ts"
import type { AuditId } from "./AuditId.ts"

/**
 * The event that follows another whose answer was not given after all: the first one's decision reached nobody. `why` says
 * what came between.
 */
export const withdrawal = (event: AuditEvent, auditId: AuditId, why: string): AuditEvent => ({
  action: event.action,
  resource: event.resource,
  ghostId: event.ghostId,
  shellId: event.shellId,
  result: "WITHDRAWN",
  reason: `the answer of event ${auditId} was not given: ${why}`,
  requestId: event.requestId,
  metadata: { audit_id: auditId, why },
  ...(event.marks === undefined ? {} : { marks: event.marks })
})
