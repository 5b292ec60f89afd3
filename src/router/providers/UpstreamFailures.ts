import { isPlainObject } from "../protocol/ChatMessages.ts"
import type { FailureKind } from "./Provider.ts"

const detailsOf = (error: unknown): ReadonlyArray<unknown> => {
  const fields = isPlainObject(error) ? error["error"] : undefined
  const details = isPlainObject(fields) ? fields["details"] : undefined
  return Array.isArray(details) ? details : []
}

/** Google refuses a key by status 400, as it does a request, and says so in an `ErrorInfo`; its OpenAI endpoint wraps errors in a list. */
const refusesKey = (body: unknown): boolean =>
  (Array.isArray(body) ? body : [body])
    .flatMap(detailsOf)
    .some((detail) => isPlainObject(detail) && detail["reason"] === "API_KEY_INVALID")

const refusedKey = (status: number) =>
  ({ kind: "misconfigured", reason: `does not take our credentials (status ${status})` }) as const

/**
 * What a status means, in our words: what the provider says beside it may hold anything, keys included, and nothing of it is
 * repeated.
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
      return { kind: "rejected", reason: `does not take this request (status ${status})` }
    case 408:
    case 504:
    case 524:
      return { kind: "timed_out", reason: `did not answer in time (status ${status})` }
    default:
      return { kind: "broken", reason: `failed (status ${status})` }
  }
}

/** Codes of Node's sockets and of undici that say that time ran out. */
const timeouts: ReadonlyArray<unknown> = ["UND_ERR_CONNECT_TIMEOUT", "ETIMEDOUT", "UND_ERR_HEADERS_TIMEOUT"]

const codeOf = (error: unknown): string | undefined => {
  if (typeof error !== "object" || error === null) return undefined
  const code: unknown = Reflect.get(error, "code")
  if (typeof code === "string" && /^[A-Z_]{3,40}$/.test(code)) return code
  return codeOf(Reflect.get(error, "cause"))
}

/** Of the connection, before or after the answer began; only the code is kept. */
export const failureOfConnection = (error: unknown): { readonly kind: FailureKind; readonly reason: string } => {
  const code = codeOf(error)
  const told = code === undefined ? "" : ` (${code})`
  return timeouts.includes(code)
    ? { kind: "timed_out", reason: `cannot be reached in time${told}` }
    : { kind: "unreachable", reason: `cannot be reached, or hung up${told}` }
}

/** `Retry-After` in seconds, held to an hour; a date is not worth a clock. */
export const retryAfterMillis = (header: string | undefined): number | undefined =>
  header !== undefined && /^\d{1,7}$/.test(header.trim()) ? Math.min(Number(header), 3_600) * 1_000 : undefined
