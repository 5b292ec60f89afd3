const error = <const Status extends number>(status: Status, meaning: string) => ({ status, meaning })

/**
 * Every error code: its HTTP status, and its meaning for readers of the documents. The code alone is for programs, and never
 * changes. The router answers `invalid_request` with 400, as OpenAI does; `unreadable_request` may also be 408 or 431.
 */
export const errorCodes = {
  access_denied: error(403, "the policy does not allow it"),
  audit_unavailable: error(503, "the trail cannot record the event now, so nothing was decided; ask again"),
  bad_request: error(400, "the request cannot be understood; the message says why"),
  badge_not_found: error(404, "the ghost has no badge of that name"),
  body_too_large: error(413, "the body is larger than this route accepts"),
  certificate_not_found: error(404, "there is no certificate with that id"),
  content_filter: error(
    400,
    "the provider refuses what the request is about; no other shell is asked, unless models.yaml says so"
  ),
  context_length_exceeded: error(400, "the conversation is longer than the model accepts, and no other shell is left"),
  database_unavailable: error(503, "PostgreSQL does not answer; ask again"),
  foreign_request: error(403, "the request names another host, or comes from a web page of another origin"),
  ghost_stopped: error(409, "the ghost is stopped, so it has no valid token; resume it first"),
  internal_error: error(500, "a fault of the service itself; its log has the cause under the request id"),
  invalid_request: error(422, "the request cannot be understood; the message says why"),
  keys_unavailable: error(503, "the issuer's keys cannot be fetched, so the token cannot be verified; ask again"),
  method_not_allowed: error(
    405,
    "the path does not accept this method; the header `Allow` names those that it accepts"
  ),
  model_not_found: error(404, "there is no shell or ghost of that name, or it is not of that tier"),
  not_certified: error(403, "the agent has no certificate in force"),
  not_found: error(404, "the service has no such path"),
  nothing_recorded: error(422, "no event of the batch is valid, so none is recorded; `results` says why of each"),
  peer_unavailable: error(503, "a service that has to be asked does not answer, so nothing was decided; ask again"),
  policy_refused: error(422, "the policy's file has the problems that are listed; the policy in force stays"),
  provider_failed: error(502, "the provider failed, and no other shell is left"),
  provider_misconfigured: error(502, "the provider does not accept our key, or does not know the model"),
  provider_rejected: error(400, "the provider does not accept the request"),
  provider_timeout: error(504, "the provider passed one of its deadlines"),
  provider_unavailable: error(503, "the provider has no key here, or is left alone after failures"),
  rate_limited: error(429, "the provider asks for fewer requests, and no other shell is left"),
  session_ambiguous: error(409, "several agents have a session of that name: say `agent`"),
  session_exists: error(409, "the agent started a session of that name before"),
  session_not_found: error(404, "there is no session of that name"),
  session_over: error(409, "the session has ended"),
  session_refused: error(403, "the guardian does not let the session begin"),
  shutting_down: error(503, "the service is stopping; ask again"),
  signing_unavailable: error(
    501,
    "this gatekeeper makes no tokens: it has no secret to sign with, or does not authenticate its callers; the message says which"
  ),
  source_of_another: error(403, "another ghost registered this source, or the ghost is not a service"),
  stop_not_kept: error(
    503,
    "it is in effect in this gatekeeper, but neither PostgreSQL nor its home accepted it, so a restart would forget it; ask again"
  ),
  too_many_failures: error(
    429,
    "more requests without a valid identity came than get a row each; this one is counted. Ask again, with a valid token"
  ),
  trail_unreachable: error(503, "PostgreSQL does not answer; ask again"),
  unauthenticated: error(401, "there is no token, or it is not valid"),
  too_many_connections: error(503, "all connections of the port are in use; try again in a second"),
  unreadable_request: error(400, "the request is not HTTP that the service can read, or came too slowly"),
  unsupported_media_type: error(
    415,
    "a web page sent a body that is not `application/json`, or authentication is off; or the body has a `Content-Encoding` that the " +
      "header `Accept-Encoding` of the answer does not name"
  )
}

export type ErrorCode = keyof typeof errorCodes

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(errorCodes, code)

export const statusOf = <Code extends ErrorCode>(code: Code): (typeof errorCodes)[Code]["status"] =>
  errorCodes[code].status

export const meaningOf = (...codes: ReadonlyArray<string>): string =>
  codes.map((code) => (isErrorCode(code) ? `\`${code}\`: ${errorCodes[code].meaning}` : `\`${code}\``)).join(". ")
