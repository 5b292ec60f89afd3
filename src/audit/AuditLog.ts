import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { AuditEvent } from "../domain/AuditEvent.ts"
import type { AuditId } from "./AuditId.ts"
import type { AuditStatus } from "./AuditStatus.ts"

/** The trail did not take the event: no decision may be answered, since it would be without a record. */
export class AuditUnavailable extends Schema.TaggedError<AuditUnavailable>()("AuditUnavailable", {
  reason: Schema.Literal("full", "closed"),
  /** Events that wait. */
  depth: Schema.Number
}) {
  override get message(): string {
    return this.reason === "full"
      ? `the audit buffer is full (${this.depth} events wait for the database). Check that PostgreSQL answers; ` +
          "AUDIT_QUEUE_CAPACITY sets the bound, AUDIT_ON_FULL=shed answers without a record instead"
      : "the audit trail is closed because the process is stopping. Ask another instance, or try again later"
  }
}

/** Records what was decided, without waiting for the database. */
export class AuditLog extends Context.Tag("audit/AuditLog")<
  AuditLog,
  {
    /**
     * Takes the event and answers at once with the id that its row will have. Any value in the event's fields is taken:
     * what does not fit is cut or cleaned, and named in the row's `marks`. With `AUDIT_ON_FULL=shed` a full buffer answers
     * with an id too, but its row will not exist; the status counts it.
     */
    readonly record: (event: AuditEvent) => Effect.Effect<AuditId, AuditUnavailable>
    /** Whether `record` would take an event now. */
    readonly accepting: Effect.Effect<boolean>
    readonly status: Effect.Effect<AuditStatus>
  }
>() {}
