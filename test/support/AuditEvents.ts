import { makeUuidV7 } from "../../src/audit/encoding/AuditId.ts"
import { makeRow } from "../../src/audit/encoding/AuditRow.ts"
import { encodeEvent } from "../../src/audit/encoding/EventEncoding.ts"
import type { AuditEvent } from "../../src/domain/AuditEvent.ts"

export const anEvent: AuditEvent = {
  action: "execute",
  resource: "shells/l1/small",
  ghostId: "Scout",
  shellId: null,
  result: "ALLOWED",
  reason: "policy",
  requestId: "request-1",
  metadata: { complexity: 5 }
}

/** As a guardian in a process of its own records it. */
export const guardianEvent: AuditEvent = {
  ...anEvent,
  action: "certificate.issue",
  resource: "certificates/agent",
  reason: "certified"
}

const nextId = makeUuidV7((bytes) => crypto.getRandomValues(bytes))

/** Rows of one source, numbered from 1, as `record` makes them at `timestamp`. */
export const rowsOf = (
  number: number,
  options: {
    readonly source?: string
    readonly timestamp?: number
    readonly event?: AuditEvent
    readonly from?: number
  } = {}
) => {
  const source = options.source ?? crypto.randomUUID()
  const timestamp = options.timestamp ?? Date.now()
  return Array.from({ length: number }, (_, index) =>
    makeRow(encodeEvent(options.event ?? anEvent), {
      id: nextId(timestamp),
      timestamp,
      source,
      seq: (options.from ?? 1) + index
    })
  )
}
