import * as Schema from "effect/Schema"

const messages = {
  full: (detail: string) =>
    `the audit trail is full (${detail}). Check that PostgreSQL answers; AUDIT_QUEUE_CAPACITY and ` +
    "AUDIT_JOURNAL_MAX_BYTES set the bounds, AUDIT_ON_FULL=shed answers without a record instead",
  failing: (detail: string) =>
    `the audit journal cannot be written (${detail}). Free space on the disk of GRAVITAS_HOME or fix it; the process ` +
    "recovers by itself. AUDIT_ON_FULL=shed answers without a record instead",
  behind: (detail: string) =>
    `the event would not be safe in time, so it was refused: ${detail}. AUDIT_COMMIT_DEADLINE sets how long an answer waits`,
  waiting: (detail: string) =>
    `the audit trail is kept by the gatekeeper, which has not been reached since the start (${detail}). Start it, or set GATEKEEPER_URL; ` +
    "this process connects by itself",
  limited: (detail: string) =>
    `${detail}, so this one is counted and has no row of its own. Try again in a second, with a valid token`,
  closed: () => "the audit trail is closed because the process is stopping. Ask another instance, or try again later",
  unconfirmed: (detail: string) =>
    `the audit event was accepted, but ${detail}. Its outcome is unknown, so the decision is withheld. Try again; ` +
    "AUDIT_COMMIT_DEADLINE sets how long an answer waits"
}

/** The trail refused the event or cannot confirm it. No decision may be answered, because it would have no record. */
export class AuditUnavailable extends Schema.TaggedError<AuditUnavailable>()("AuditUnavailable", {
  /**
   * - `full`: too many events wait for the database.
   * - `failing`: the journal's disk reports an error.
   * - `behind`: the answer would wait for the database, or for the journal's disk, longer than the deadline.
   * - `limited`: the caller has no valid identity, and too many such failures came.
   * - `waiting`: the trail is not open yet.
   * - `closed`: the process is stopping.
   * - `unconfirmed`: the event was accepted, but not confirmed as safe in time. A second event says that it was not answered.
   */
  reason: Schema.Literal("full", "failing", "behind", "limited", "waiting", "closed", "unconfirmed"),
  detail: Schema.String
}) {
  /** Of the error that the caller gets. */
  get code(): "audit_unavailable" | "too_many_failures" {
    return this.reason === "limited" ? "too_many_failures" : "audit_unavailable"
  }
  override get message(): string {
    return messages[this.reason](this.detail)
  }
}
