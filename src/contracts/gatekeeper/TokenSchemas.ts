import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Schema from "effect/Schema"
import { GhostName, Note, ValidFor } from "../Fields.ts"
import { maximumLength } from "./AccessSchemas.ts"

const Text = (description: string) => Schema.String.annotations({ description })

/** A form, as RFC 6749 says. */
export const TokenRequest = Schema.Struct({
  grant_type: Text(
    "`urn:ietf:params:oauth:grant-type:jwt-bearer` (RFC 7523), or `urn:ietf:params:oauth:grant-type:token-exchange` (RFC 8693)"
  ),
  assertion: Schema.optional(Text("of a service, signed by its enrolled key")),
  subject_token: Schema.optional(Text("the caller's token")),
  subject_token_type: Schema.optional(Text("`urn:ietf:params:oauth:token-type:access_token`")),
  actor_token: Schema.optional(Text("the service's own token")),
  actor_token_type: Schema.optional(Text("`urn:ietf:params:oauth:token-type:access_token`")),
  audience: Schema.optional(Text("the peer that may use the token: `gatekeeper` or `guardian`"))
}).pipe(HttpApiSchema.withEncoding({ kind: "UrlParams", contentType: "application/x-www-form-urlencoded" }))

export const TokenAnswer = Schema.Struct({
  access_token: Schema.String,
  token_type: Schema.Literal("Bearer"),
  expires_in: Schema.Number,
  issued_token_type: Schema.optional(Schema.String)
}).annotations({ description: "The token, for its audience alone." })

/** RFC 6749, section 5.2: no error body of ours. */
export const TokenError = Schema.Struct({
  error: Schema.Literal(
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_target",
    "unsupported_grant_type",
    "temporarily_unavailable"
  ),
  error_description: Schema.String,
  /** The row that records the refusal. */
  audit_id: Schema.optional(Schema.String)
})

/** A token for a ghost. Without `valid_for` it is valid for 15 minutes, or shorter where the settings or the caller's own token say so. */
export const IssueToken = Schema.Struct({
  ghost_id: GhostName(maximumLength.ghost_id, { description: "whom the token names" }),
  valid_for: Schema.optionalWith(ValidFor("15m or 1h"), { nullable: true }),
  /** For the trail. */
  reason: Schema.optionalWith(Note(500), { nullable: true })
}).annotations({ examples: [{ ghost_id: "Scout", valid_for: "15m", reason: "to test its new tools" }] })

/** The members of RFC 6749, section 5.1, and whose token it is. */
export const TokenIssued = Schema.Struct({
  access_token: Schema.String,
  token_type: Schema.Literal("Bearer"),
  /** Seconds. It is less than was asked for where the caller's own token ends earlier. */
  expires_in: Schema.Number,
  ghost_id: Schema.String,
  /** The token's `jti`. */
  token_id: Schema.String,
  expires_at: Schema.String,
  audit_id: Schema.String
}).annotations({ description: "The token. It is in this answer alone." })
