import * as Schema from "effect/Schema"

/** The outcome of a request, or what the trail reports about itself. */
export const AuditResult = Schema.Literal(
  "ALLOWED", // the policy decided so
  "DENIED", // the policy decided so
  "UNAUTHENTICATED", // no usable token; the row names no ghost, whatever the request claims
  "INVALID", // the request was malformed, so nothing was decided
  "REPORTED", // another program reported an event that is not a decision
  // Of the trail itself:
  "LIMITED", // a count of failures of callers without a valid identity that have no row each
  "LOST", // a loss receipt; events are missing, or it is unknown whether any are
  "WITHDRAWN", // an event was recorded, but its answer was not sent
  "REPLAYED" // a dead letter was written to the trail
)
export type AuditResult = typeof AuditResult.Type

/**
 * - `auth:disabled`: the caller was not authenticated.
 * - `metadata:withheld`: the caller has no valid identity, so what it said in its metadata is not stored.
 */
export const RecorderMark = Schema.Literal("auth:disabled", "metadata:withheld")
export type RecorderMark = typeof RecorderMark.Type

/** The outcomes that other programs may report; only the trail itself reports the others. */
export const ClaimableResult = Schema.Literal("ALLOWED", "DENIED", "UNAUTHENTICATED", "INVALID", "REPORTED")
export type ClaimableResult = typeof ClaimableResult.Type

/**
 * One decision, as a caller of `AuditLog.record` states it. `record` adds identity, time, order and hash.
 *
 * Strings may be of any length and content and `metadata` of any shape: the trail bounds and cleans what it stores and
 * notes that in the row's `marks`. So no input makes a row disappear.
 */
export const AuditEvent = Schema.Struct({
  action: Schema.NullOr(Schema.String),
  resource: Schema.NullOr(Schema.String),
  /** The authenticated subject; null if there is none. */
  ghostId: Schema.NullOr(Schema.String),
  shellId: Schema.NullOr(Schema.String),
  result: AuditResult,
  reason: Schema.NullOr(Schema.String),
  requestId: Schema.NullOr(Schema.String),
  /** A JSON object. Anything else is stored under the key `value`. */
  metadata: Schema.Unknown,
  /** Of an event without a ghost: the caller is authenticated, and only its name is not known where the event is recorded. */
  isAuthenticated: Schema.optional(Schema.Boolean),
  /** Added to the row's `marks`, beside those of the trail itself. */
  marks: Schema.optional(Schema.Array(RecorderMark))
})
export type AuditEvent = typeof AuditEvent.Type
