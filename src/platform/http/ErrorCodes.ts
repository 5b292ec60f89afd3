/** What an error's code means to whoever reads the documents of a service; the code alone is for programs. */
const meanings: Readonly<Record<string, string>> = {
  access_denied: "the policy does not allow it",
  audit_unavailable: "the trail cannot take the event now, so nothing was decided; ask again",
  bad_request: "the request cannot be understood; the message says why",
  badge_not_found: "the ghost has no badge of that name",
  body_too_large: "the body is larger than this route takes",
  certificate_not_found: "there is no certificate with that id",
  database_unavailable: "PostgreSQL does not answer; ask again",
  internal_error: "a fault of the service itself; its log has the cause under the request id",
  invalid_request: "the request cannot be understood; the message says why",
  keys_unavailable: "the issuer's keys cannot be had, so nobody knows whether the token is good; ask again",
  model_not_found: "there is no shell or ghost of that name, or none of that tier",
  not_certified: "the agent has no certificate in force",
  peer_unavailable: "a service that has to be asked does not answer, so nothing was decided; ask again",
  policy_refused: "the policy's file has the problems that are listed; the policy in force stays",
  provider_failed: "the provider failed, and no other shell is left",
  provider_misconfigured: "the provider does not take our key, or does not know the model",
  provider_rejected: "the provider does not take the request",
  provider_timeout: "the provider passed one of its deadlines",
  provider_unavailable: "the provider has no key here, or is left alone after failures",
  rate_limited: "the provider asks for fewer requests, and no other shell is left",
  session_exists: "a session of that name was started before",
  session_not_found: "there is no session of that name",
  session_over: "the session has ended",
  session_refused: "the guardian does not let the session begin",
  source_of_another: "another ghost registered this source",
  trail_unreachable: "PostgreSQL does not answer; ask again",
  unauthenticated: "there is no token, or none that is believed"
}

/** Of an error that has one of these codes. */
export const meaningOf = (...codes: ReadonlyArray<string>): string =>
  codes.map((code) => (code in meanings ? `\`${code}\`: ${meanings[code]}` : `\`${code}\``)).join(". ")
