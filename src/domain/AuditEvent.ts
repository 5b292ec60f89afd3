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
 * - `metadata:number-as-text`: the request's metadata, stored elsewhere, has a number that a double does not hold; it is kept as text.
 * - `metadata:withheld`: the caller has no valid identity, so what it said in its metadata is not stored.
 * - `request_id:given`, `trace_id:given`: the id came with the request, so its sender chose it, and others may send the same.
 */
export const RecorderMark = Schema.Literal(
  "auth:disabled",
  "request_id:given",
  "trace_id:given",
  "metadata:number-as-text",
  "metadata:withheld"
)
export type RecorderMark = typeof RecorderMark.Type

/** The mark of a row of a stranger: what the stranger said is not stored. */
export const metadataWithheld: RecorderMark = "metadata:withheld"

/** The outcomes that other programs may report; only the trail itself reports the others. */
export const ClaimableResult = Schema.Literal("ALLOWED", "DENIED", "UNAUTHENTICATED", "INVALID", "REPORTED")
export type ClaimableResult = typeof ClaimableResult.Type

/** Members of a row's metadata that say who asked for the event or brought it, and how. Only the program writes them. */
export const originMembers = ["asked_by", "claimed", "ingest", "query", "subject_type", "trace_id"] as const

/** All members of a row's metadata that only the program writes, because they state what it did or found out. */
export const reservedMembers = [
  ...originMembers,
  // Decisions about questions of others, and about requests for the gatekeeper's own endpoints.
  ...["context", "events", "events_invalid", "explain", "operation", "properties", "stands_for_seconds"],
  // What the trail reports about itself.
  ...[
    "audit_id",
    "by",
    "count",
    "former_trail",
    "from_seq",
    "kind",
    "leaf_hash",
    "outcome",
    "refused_for",
    "seq",
    "source",
    "to_seq",
    "why"
  ],
  // Tokens that a gatekeeper issues.
  ...["actor", "audience", "token_id"],
  // Certificates and sessions.
  ...[
    "certificate_id",
    "certificates",
    "certificates_revoked",
    "dropped",
    "file",
    "key_id",
    "last_seen_at",
    "sessions",
    "sessions_ended",
    "stop_id",
    "version"
  ],
  // Failures of strangers.
  ...["by_network", "by_reason", "client_address", "counted_from", "counted_until", "other_networks"],
  // Routes.
  ...[
    "asked",
    "closed_by",
    "code",
    "completion_tokens",
    "duration_ms",
    "finish_reason",
    "next",
    "peer",
    "prompt_tokens"
  ],
  ...["provider", "session_id", "tried"]
] as const

/** Members that repeat what a request says of itself; a caller may use them too. */
type DescribingMember = "action" | "complexity" | "ghost_id" | "messages" | "model" | "priority" | "resource" | "stream"

/** Members of a row's metadata that the program states. A name that is missing here has to be reserved, or describes a request. */
export type Facts = { readonly [K in (typeof reservedMembers)[number] | DescribingMember]?: unknown }

/**
 * One decision, as a caller of `AuditLog.record` states it. `record` adds identity, time, order and hash.
 *
 * Strings may be of any length and content and `metadata` of any shape: the trail bounds and cleans what it stores, masks secrets
 * in it, and notes that in the row's `marks`. So no input makes a row disappear.
 */
export interface AuditEvent {
  readonly action: string | null
  readonly resource: string | null
  /** The authenticated subject; null if there is none. */
  readonly ghostId: string | null
  readonly shellId: string | null
  readonly result: AuditResult
  readonly reason: string | null
  readonly requestId: string | null
  /** What a caller states: a JSON object without `reservedMembers`. Anything else is stored under the key `value`. */
  readonly metadata?: unknown
  /** What the program states, in the same JSON object. */
  readonly facts?: Facts
  /** Of an event without a ghost: the caller is authenticated, and only its name is not known where the event is recorded. */
  readonly isAuthenticated?: boolean
  /** Added to the row's `marks`, beside those of the trail itself. */
  readonly marks?: ReadonlyArray<RecorderMark>
}
