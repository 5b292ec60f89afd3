import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Schema from "effect/Schema"

/** The bodies of the guardian's contract. Times are ISO 8601 in UTC. */

/** Names in paths and bodies. */
export const AgentName = Schema.String.pipe(Schema.minLength(1), Schema.maxLength(200)).annotations({
  examples: ["Librarian"]
})
export const SessionId = Schema.String.pipe(Schema.minLength(1), Schema.maxLength(200))
export const CertificateId = Schema.String.annotations({ description: "of the certificate" })
export const GhostName = Schema.String.annotations({ description: "whose badge" })
export const BadgeName = Schema.String.annotations({ description: "the badge's name" })

/** A certificate in force: when it was issued and until when it holds. */
export const Certified = Schema.Struct({
  valid: Schema.Literal(true),
  agent: Schema.String,
  issued_at: Schema.String,
  expires_at: Schema.String
}).annotations({ description: "The agent has a certificate in force." })

export const SessionStarted = Schema.Struct({ allowed: Schema.Literal(true), reason: Schema.String }).annotations({
  description: "The session runs."
})

export const SessionAlive = Schema.Struct({
  session_id: Schema.String,
  last_seen_at: Schema.String,
  /** When it is ended as expired, unless another heartbeat comes. */
  expires_at: Schema.String
}).annotations({ description: "The session runs on." })

const EndReason = Schema.Literal("completed", "expired", "revoked")

export const SessionEnded = Schema.Struct({
  session_id: Schema.String,
  ended_at: Schema.String,
  end_reason: EndReason
}).annotations({ description: "The session is over." })

export const Session = Schema.Struct({
  session_id: Schema.String,
  agent: Schema.String,
  active: Schema.Boolean,
  started_at: Schema.String,
  last_seen_at: Schema.String,
  ended_at: Schema.NullOr(Schema.String),
  end_reason: Schema.NullOr(EndReason),
  output_file: Schema.NullOr(Schema.String),
  request_id: Schema.NullOr(Schema.String),
  metadata: Schema.Record({ key: Schema.String, value: Schema.Unknown })
})

export const Sessions = Schema.Struct({
  sessions: Schema.Array(Session),
  next: Schema.NullOr(Schema.String)
}).annotations({ description: "A page of sessions, newest first." })

/** `valid_for` or `expires_at`, not both; 90 days where neither is given. */
export const Issuing = Schema.Struct({
  agent: Schema.String.pipe(Schema.minLength(1), Schema.maxLength(200)),
  /** `90d`, `24h`, or a number of seconds. */
  valid_for: Schema.optional(Schema.Union(Schema.String, Schema.Number)),
  /** ISO 8601 with a zone. */
  expires_at: Schema.optional(Schema.String),
  /** Of the agent that is certified; 1 where left out. */
  version: Schema.optional(Schema.Int.pipe(Schema.between(1, 2_147_483_647)))
})

export const CertificateIssued = Schema.Struct({
  id: Schema.String,
  agent: Schema.String,
  issued_at: Schema.String,
  expires_at: Schema.String,
  version: Schema.Number,
  key_id: Schema.String,
  /** A compact JWS (RFC 7515); `/.well-known/jwks.json` verifies it. */
  signature: Schema.String
}).annotations({ description: "The certificate is in force." })

export const CertificateRevoked = Schema.Struct({
  id: Schema.String,
  agent: Schema.String,
  revoked_at: Schema.String,
  reason: Schema.NullOr(Schema.String),
  /** How many sessions ended with it; 0 in the answer to a repeat. */
  sessions_ended: Schema.Number
}).annotations({ description: "The certificate certifies nothing any more." })

export const Certificates = Schema.Struct({
  certificates: Schema.Array(
    Schema.Struct({
      agent: Schema.String,
      issued_at: Schema.String,
      expires_at: Schema.String,
      version: Schema.Number,
      is_expired: Schema.Boolean,
      id: Schema.NullOr(Schema.String),
      key_id: Schema.NullOr(Schema.String),
      revoked_at: Schema.NullOr(Schema.String),
      /** Whether the guardian's signature vouches for the row; false: it certifies nothing. */
      is_verified: Schema.Boolean
    })
  ),
  /** On all pages. */
  total: Schema.Number,
  next: Schema.NullOr(Schema.String)
}).annotations({ description: "A page of certificates." })

export const AgentStatistics = Schema.Struct({
  agent: Schema.String,
  active_sessions: Schema.Number,
  completed_total: Schema.Number,
  /** In seconds, of completed sessions; null before the first. */
  avg_duration: Schema.NullOr(Schema.Number),
  /** Of the certificate in force; null without one. */
  certification_expires: Schema.NullOr(Schema.String)
}).annotations({ description: "Counts of one agent." })
export type AgentStatistics = typeof AgentStatistics.Type

export const AllStatistics = Schema.Struct({
  agents: Schema.Array(AgentStatistics),
  next: Schema.NullOr(Schema.String)
}).annotations({ description: "A page of agents with their counts." })

/** With `agent`, that one's; without, a page of all. */
export const Statistics = Schema.Union(AgentStatistics, AllStatistics).annotations({
  description: "Counts of one agent, or a page of agents with theirs."
})

export const Badge = Schema.Struct({
  ghost_id: Schema.String,
  badge_name: Schema.String,
  granted_at: Schema.String
}).annotations({ description: "A badge that was granted." })

export const Badges = Schema.Struct({
  ghost_id: Schema.String,
  badges: Schema.Array(Badge),
  total: Schema.Number
}).annotations({ description: "The badges of a ghost." })

/** A public Ed25519 key as others read it (RFC 7517, RFC 8037). */
export const PublicJwk = Schema.Struct({
  kty: Schema.Literal("OKP"),
  crv: Schema.Literal("Ed25519"),
  x: Schema.String,
  kid: Schema.String,
  alg: Schema.Literal("EdDSA"),
  use: Schema.Literal("sig")
})
export type PublicJwk = typeof PublicJwk.Type

export const Jwks = Schema.Struct({ keys: Schema.Array(PublicJwk) })
  .annotations({ description: "A JSON Web Key Set." })
  .pipe(HttpApiSchema.withEncoding({ kind: "Json", contentType: "application/jwk-set+json" }))
