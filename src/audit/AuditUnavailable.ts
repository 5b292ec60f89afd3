import * as Schema from "effect/Schema"

const words = {
  full: (detail: string) =>
    `the audit trail is full (${detail}). Check that PostgreSQL answers; AUDIT_QUEUE_CAPACITY and ` +
    "AUDIT_JOURNAL_MAX_BYTES set the bounds, AUDIT_ON_FULL=shed answers without a record instead",
  failing: (detail: string) =>
    `the audit journal cannot be written (${detail}). Make room or mend the disk of GRAVITAS_HOME; the process goes on by ` +
    "itself. AUDIT_ON_FULL=shed answers without a record instead",
  behind: (detail: string) =>
    `the event would not be safe in time, so it was not taken: ${detail}. AUDIT_COMMIT_DEADLINE sets how long an answer waits`,
  waiting: (detail: string) =>
    `the audit trail is kept by the gatekeeper, which has not been reached since the start (${detail}). Start it, or set GATEKEEPER_URL; ` +
    "this process goes on by itself",
  closed: () => "the audit trail is closed because the process is stopping. Ask another instance, or try again later",
  unconfirmed: (detail: string) =>
    `the audit event was taken, but ${detail}: its outcome is unknown, so the decision is not given. Try again; ` +
    "AUDIT_COMMIT_DEADLINE sets how long an answer waits"
}

/** The trail did not take the event, or cannot vouch for it: no decision may be answered, since it would be without a record. */
export class AuditUnavailable extends Schema.TaggedError<AuditUnavailable>()("AuditUnavailable", {
  /**
   * - `full`: too much waits for the database.
   * - `failing`: the journal's disk refuses.
   * - `behind`: the answer would wait for the database, or for the journal's disk, longer than answers wait.
   * - `waiting`: it is not open yet.
   * - `closed`: the process is stopping.
   * - `unconfirmed`: the event was taken, and nobody confirmed in time that it is safe. Another event says that it was not
   *   answered.
   */
  reason: Schema.Literal("full", "failing", "behind", "waiting", "closed", "unconfirmed"),
  detail: Schema.String
}) {
  override get message(): string {
    return words[this.reason](this.detail)
  }
}
