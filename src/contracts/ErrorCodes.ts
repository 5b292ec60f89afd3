/**
 * Every error code: its HTTP status, and its meaning for readers of the documents. The code alone is for programs, and never
 * changes. The router answers `invalid_request` with 400, as OpenAI does; `unreadable_request` may also be 408 or 431.
 */
export const errorCodes = {
  access_denied: { status: 403, meaning: "the policy does not allow it" },
  audit_unavailable: {
    status: 503,
    meaning: "the trail cannot record the event now, so nothing was decided; ask again"
  },
  bad_request: { status: 400, meaning: "the request cannot be understood; the message says why" },
  badge_not_found: { status: 404, meaning: "the ghost has no badge of that name" },
  body_too_large: { status: 413, meaning: "the body is larger than this route accepts" },
  certificate_not_found: { status: 404, meaning: "there is no certificate with that id" },
  database_unavailable: { status: 503, meaning: "PostgreSQL does not answer; ask again" },
  internal_error: { status: 500, meaning: "a fault of the service itself; its log has the cause under the request id" },
  invalid_request: { status: 422, meaning: "the request cannot be understood; the message says why" },
  keys_unavailable: {
    status: 503,
    meaning: "the issuer's keys cannot be fetched, so the token cannot be verified; ask again"
  },
  method_not_allowed: {
    status: 405,
    meaning: "the path does not accept this method; the header `Allow` names those that it accepts"
  },
  model_not_found: { status: 404, meaning: "there is no shell or ghost of that name, or it is not of that tier" },
  not_certified: { status: 403, meaning: "the agent has no certificate in force" },
  not_found: { status: 404, meaning: "the service has no such path" },
  peer_unavailable: {
    status: 503,
    meaning: "a service that has to be asked does not answer, so nothing was decided; ask again"
  },
  policy_refused: {
    status: 422,
    meaning: "the policy's file has the problems that are listed; the policy in force stays"
  },
  provider_failed: { status: 502, meaning: "the provider failed, and no other shell is left" },
  provider_misconfigured: { status: 502, meaning: "the provider does not accept our key, or does not know the model" },
  provider_rejected: { status: 400, meaning: "the provider does not accept the request" },
  provider_timeout: { status: 504, meaning: "the provider passed one of its deadlines" },
  provider_unavailable: { status: 503, meaning: "the provider has no key here, or is left alone after failures" },
  rate_limited: { status: 429, meaning: "the provider asks for fewer requests, and no other shell is left" },
  session_exists: { status: 409, meaning: "a session of that name was started before" },
  session_not_found: { status: 404, meaning: "there is no session of that name" },
  session_over: { status: 409, meaning: "the session has ended" },
  session_refused: { status: 403, meaning: "the guardian does not let the session begin" },
  shutting_down: { status: 503, meaning: "the service is stopping; ask again" },
  source_of_another: { status: 403, meaning: "another ghost registered this source" },
  trail_unreachable: { status: 503, meaning: "PostgreSQL does not answer; ask again" },
  unauthenticated: { status: 401, meaning: "there is no token, or it is not valid" },
  unreadable_request: { status: 400, meaning: "the request is not HTTP that the service can read, or came too slowly" }
} as const

export type ErrorCode = keyof typeof errorCodes

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(errorCodes, code)

export const statusOf = <Code extends ErrorCode>(code: Code): (typeof errorCodes)[Code]["status"] =>
  errorCodes[code].status

/** The meaning of an error that has one of these codes. */
export const meaningOf = (...codes: ReadonlyArray<string>): string =>
  codes.map((code) => (isErrorCode(code) ? `\`${code}\`: ${errorCodes[code].meaning}` : `\`${code}\``)).join(". ")
