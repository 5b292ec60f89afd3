import * as Schema from "effect/Schema"
import { errorOfStatus } from "../ApiError.ts"
import { type ErrorCode, statusOf } from "../ErrorCodes.ts"

export const refusalCodes = [
  "invalid_request",
  "provider_rejected",
  "content_filter",
  "context_length_exceeded",
  "unauthenticated",
  "access_denied",
  "not_certified",
  "session_refused",
  "model_not_found",
  "body_too_large",
  "rate_limited",
  "too_many_failures",
  "internal_error",
  "provider_failed",
  "provider_misconfigured",
  "audit_unavailable",
  "database_unavailable",
  "peer_unavailable",
  "provider_unavailable",
  "provider_timeout"
] as const satisfies ReadonlyArray<ErrorCode>

export type RefusalCode = (typeof refusalCodes)[number]

/** OpenAI answers a malformed request with 400. */
export const statusOfRefusal = (code: RefusalCode): number => (code === "invalid_request" ? 400 : statusOf(code))

/** What the `openai` clients call the kinds of errors. */
const typeOfStatus: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "invalid_request_error",
  405: "invalid_request_error",
  413: "invalid_request_error",
  415: "invalid_request_error",
  429: "rate_limit_error"
}

const typeOf = (status: number): string => typeOfStatus[status] ?? "server_error"

export const errorTypeOf = (code: RefusalCode): string => typeOf(statusOfRefusal(code))

/** What those clients look for in the errors too that the platform answers: unknown paths, wrong methods, defects, the end. */
export const openAiFields = (status: number, url: string): Readonly<Record<string, unknown>> =>
  url.startsWith("/v1/") ? { type: typeOf(status), param: null } : {}

/** OpenAI's error of one status, with what every error of Gravitas has besides. */
export const openAiError = (...codes: readonly [RefusalCode, ...ReadonlyArray<RefusalCode>]) =>
  errorOfStatus(statusOfRefusal(codes[0]), codes, { type: Schema.String, param: Schema.NullOr(Schema.String) })
