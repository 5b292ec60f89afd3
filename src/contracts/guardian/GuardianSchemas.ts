import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Schema from "effect/Schema"
import { nameProblem } from "../../domain/Spelling.ts"
import {
  Cursor,
  Flag,
  Limit,
  maximumPageSize,
  Name,
  Next,
  Note,
  Parameter,
  PathName,
  rowNumber,
  ValidFor
} from "../Fields.ts"
import { OpenRecord } from "../OpenRecord.ts"

/** The bodies of the guardian's contract. Times are ISO 8601 in UTC. */

/** Lengths that the tables accept. */
export const maximumName = 200
const maximumBadge = 100

/** `certificates/<agent>` and `sessions/<agent>/<session_id>` are resources of the policy, so an agent is one segment. */
export const AgentName = Name(maximumName, { examples: ["Librarian"] })

export const isAgentName = (text: string): boolean => nameProblem(text, maximumName) === undefined

/** The longest name that a token may have. The tables hold longer ones, of earlier versions. */
export const maximumGhost = 100

export const SessionId = PathName(maximumName)

/** The id that `POST /certificates` returned; in lower case, as PostgreSQL writes a UUID. */
export const CertificateId = Schema.String.pipe(
  Schema.pattern(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, {
    description: "of the certificate",
    message: () => "must be a UUID, as POST /certificates answered it",
    jsonSchema: {}
  }),
  Schema.transform(Schema.String, {
    strict: true,
    decode: (id) => id.toLowerCase(),
    encode: (id) => id
  })
)

export const GhostName = Name(maximumName, { description: "whose badge" })
export const BadgeName = Name(maximumBadge, { description: "the badge's name" })

/** One agent's rows only. */
const agentParameter = Schema.optional(
  Parameter("one agent's").pipe(Schema.filter((text) => nameProblem(text, maximumName) ?? true, { jsonSchema: {} }))
)

/** The list had no pages before: a client that does not ask for a page gets as many rows as one may hold. */
export const CertificatesQuery = Schema.Struct({
  agent: agentParameter,
  limit: Limit(maximumPageSize),
  cursor: Cursor(rowNumber)
})

export const SessionsQuery = Schema.Struct({
  agent: agentParameter,
  active: Flag("true | false"),
  limit: Limit(100),
  cursor: Cursor(rowNumber)
})

/** A page of statistics ends at an agent's name. */
const agentPlace = /^[^\0/]{1,200}$/u

export const StatisticsQuery = Schema.Struct({
  agent: agentParameter,
  limit: Limit(100),
  cursor: Cursor(agentPlace)
})

export const StartSession = Schema.Struct({
  agent: AgentName,
  session_id: SessionId,
  metadata: Schema.optional(
    Schema.NullOr(OpenRecord).annotations({ message: () => ({ message: "must be an object", override: true }) })
  )
})

/** A session that is named. Clients of before names were an agent's own do not say `agent`. */
export const namedSession = {
  session_id: SessionId,
  agent: Schema.optionalWith(AgentName, { nullable: true })
}

export const EndSession = Schema.Struct({
  ...namedSession,
  output_file: Schema.optionalWith(Note(4_096), { nullable: true })
})

export const RevokeCertificate = Schema.Struct({ reason: Schema.optionalWith(Note(500), { nullable: true }) })

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

/** Sessions of one list of a request: their names fit into a body. */
export const maximumSessions = 100

const AgentSession = Schema.Struct({ agent: AgentName, session_id: SessionId })

const AgentSessions = Schema.Array(AgentSession).pipe(
  Schema.maxItems(maximumSessions, { message: () => `must not hold more than ${maximumSessions} names` })
)

/** What a process says about the sessions that it works for. */
export const KeepSessions = Schema.Struct({
  alive: AgentSessions,
  /** Sessions whose work is done, and whose own token can no longer end them. */
  done: Schema.optionalWith(AgentSessions, { default: () => [] })
})

/** Why a session that was said to be alive is not. */
export const SessionLost = Schema.Struct({
  agent: Schema.String,
  session_id: Schema.String,
  code: Schema.Literal("not_certified", "session_not_found", "session_over"),
  reason: Schema.String
})

export const SessionsKept = Schema.Struct({ over: Schema.Array(SessionLost) }).annotations({
  description: "All of them run on, but those in `over`."
})

export const EndReason = Schema.Literal("completed", "expired", "revoked")

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
  metadata: OpenRecord
})

export const Sessions = Schema.Struct({
  sessions: Schema.Array(Session),
  next: Next(rowNumber)
}).annotations({ description: "A page of sessions, newest first." })

/** The highest version of an agent that the table accepts. */
export const maximumVersion = 2_147_483_647

/** `valid_for` or `expires_at`, not both; 90 days where neither is given. */
export const IssueCertificate = Schema.Struct({
  agent: Name(maximumGhost, { examples: ["Librarian"] }),
  valid_for: Schema.optional(ValidFor("90d or 24h")),
  /** RFC 3339 with a zone. */
  expires_at: Schema.optional(
    Schema.String.annotations({
      message: () => "must be an RFC 3339 time with a zone, such as 2026-01-31T12:00:00Z"
    })
  ),
  /** Of the agent that is certified; 1 where left out or null. */
  version: Schema.optionalWith(
    Schema.Int.pipe(Schema.between(1, maximumVersion)).annotations({
      message: () => ({ message: "must be a whole number from 1", override: true })
    }),
    { nullable: true }
  )
}).pipe(
  Schema.filter(
    ({ expires_at, valid_for }) =>
      expires_at === undefined || valid_for === undefined ? true : 'give either "valid_for" or "expires_at", not both',
    { jsonSchema: {} }
  )
)

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
      /** Whether the guardian's signature verifies; false: the row certifies nothing. */
      is_verified: Schema.Boolean
    })
  ),
  /** On all pages. */
  total: Schema.Number,
  next: Next(rowNumber)
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

const AllStatistics = Schema.Struct({
  agents: Schema.Array(AgentStatistics),
  next: Next(agentPlace)
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

/** The resource that the policy decides about; the same of the two below. */
export const certificateResource = (agent: string): string => `certificates/${agent}`

export const sessionResource = (agent: string, sessionId: string): string => `sessions/${agent}/${sessionId}`

export const badgeResource = (ghost: string, badge: string): string => `badges/${ghost}/${badge}`
