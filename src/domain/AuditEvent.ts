import * as Schema from "effect/Schema"

/**
 * What became of a request.
 *
 * - `ALLOWED`, `DENIED`: the policy decided.
 * - `UNAUTHENTICATED`: no usable token; nobody is named, whatever the request claims.
 * - `INVALID`: the request could not be understood, so nothing was decided.
 * - `REPORTED`: another program told of an event, and of no decision.
 *
 * What the trail says of itself:
 *
 * - `LOST`: a loss receipt; events are missing, or nobody can know whether any are.
 * - `WITHDRAWN`: an event was recorded, but its answer was not given.
 * - `REPLAYED`: a dead letter came into the trail.
 */
export const AuditResult = Schema.Literal(
  "ALLOWED",
  "DENIED",
  "UNAUTHENTICATED",
  "INVALID",
  "REPORTED",
  "LOST",
  "WITHDRAWN",
  "REPLAYED"
)
export type AuditResult = typeof AuditResult.Type

/** `auth:disabled`: nobody asked the caller who it is. */
export const RecorderMark = Schema.Literal("auth:disabled")
export type RecorderMark = typeof RecorderMark.Type

/** What other programs may say became of something; the others are the trail's own words. */
export const ClaimableResult = Schema.Literal("ALLOWED", "DENIED", "UNAUTHENTICATED", "INVALID", "REPORTED")
export type ClaimableResult = typeof ClaimableResult.Type

/**
 * One decision, as a caller of `AuditLog.record` states it. Identity, time, order and hash are given to it there.
 *
 * Strings may be of any length and content and `metadata` of any shape: the trail bounds and cleans what it stores and
 * says so in the row's `marks`, so that no caller can make its own row vanish.
 */
export const AuditEvent = Schema.Struct({
  action: Schema.NullOr(Schema.String),
  resource: Schema.NullOr(Schema.String),
  /** The authenticated subject; null where nobody was authenticated. */
  ghostId: Schema.NullOr(Schema.String),
  shellId: Schema.NullOr(Schema.String),
  result: AuditResult,
  reason: Schema.NullOr(Schema.String),
  requestId: Schema.NullOr(Schema.String),
  /** A JSON object. Anything else is stored under the key `value`. */
  metadata: Schema.Unknown,
  /** What whoever records wants to be seen in the row's `marks`, beside what the trail says there itself. */
  marks: Schema.optional(Schema.Array(RecorderMark))
})
export type AuditEvent = typeof AuditEvent.Type
