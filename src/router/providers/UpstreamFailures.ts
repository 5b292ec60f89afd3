import * as Predicate from "effect/Predicate"
import type { FailureKind } from "./Provider.ts"

const detailsOf = (error: unknown): ReadonlyArray<unknown> => {
  const fields = Predicate.isReadonlyRecord(error) ? error["error"] : undefined
  const details = Predicate.isReadonlyRecord(fields) ? fields["details"] : undefined
  return Array.isArray(details) ? details : []
}

/** Google refuses a key by status 400, as it does a request, and says so in an `ErrorInfo`; its OpenAI endpoint wraps errors in a list. */
const refusesKey = (body: unknown): boolean =>
  (Array.isArray(body) ? body : [body])
    .flatMap(detailsOf)
    .some((detail) => Predicate.isReadonlyRecord(detail) && detail["reason"] === "API_KEY_INVALID")

const refusedKey = (status: number) =>
  ({ kind: "misconfigured", reason: `does not accept our credentials (status ${status})` }) as const

/**
 * The failure for a status, in the router's words. The body may hold anything, keys included, so nothing of it is repeated.
 */
export const failureOfStatus = (
  status: number,
  body?: unknown
): { readonly kind: FailureKind; readonly reason: string } => {
  if (status === 400 && refusesKey(body)) return refusedKey(status)
  switch (status) {
    case 401:
    case 403:
      return refusedKey(status)
    case 404:
      return { kind: "misconfigured", reason: "does not know the model, or is not at its base_url (status 404)" }
    case 429:
      return { kind: "busy", reason: "asks for fewer requests (status 429)" }
    case 400:
    case 413:
    case 422:
      return { kind: "rejected", reason: `does not accept this request (status ${status})` }
    case 408:
    case 504:
    case 524:
      return { kind: "timed_out", reason: `did not answer in time (status ${status})` }
    default:
      return { kind: "broken", reason: `failed (status ${status})` }
  }
}

/** Codes of timeouts, of Node's sockets and of undici. */
const timeouts: ReadonlyArray<unknown> = ["UND_ERR_CONNECT_TIMEOUT", "ETIMEDOUT", "UND_ERR_HEADERS_TIMEOUT"]

const codeOf = (error: unknown): string | undefined => {
  if (typeof error !== "object" || error === null) return undefined
  const code: unknown = Reflect.get(error, "code")
  if (typeof code === "string" && /^[A-Z_]{3,40}$/.test(code)) return code
  return codeOf(Reflect.get(error, "cause"))
}

/** The failure of a connection, before or after the answer began; only the error's code is kept. */
export const failureOfConnection = (error: unknown): { readonly kind: FailureKind; readonly reason: string } => {
  const code = codeOf(error)
  const shown = code === undefined ? "" : ` (${code})`
  return timeouts.includes(code)
    ? { kind: "timed_out", reason: `cannot be reached in time${shown}` }
    : { kind: "unreachable", reason: `cannot be reached, or hung up${shown}` }
}

/** Reads `Retry-After` in seconds, at most an hour. A date is ignored. */
export const retryAfterMillis = (header: string | undefined): number | undefined =>
  header !== undefined && /^\d{1,7}$/.test(header.trim()) ? Math.min(Number(header), 3_600) * 1_000 : undefined
