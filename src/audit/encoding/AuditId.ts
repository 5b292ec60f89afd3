import * as Schema from "effect/Schema"

/** A recorded event's identity: a lowercase UUIDv7 that `AuditLog.record` made; the row's primary key. */
export const AuditId = Schema.String.pipe(
  Schema.pattern(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
  Schema.brand("AuditId")
)
export type AuditId = typeof AuditId.Type
