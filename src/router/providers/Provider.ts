import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { memberOf } from "../../domain/Text.ts"
import type { ChatPart } from "../protocol/ChatPart.ts"
import type { ChatRequest } from "../protocol/ChatRequest.ts"

export interface Call {
  readonly request: ChatRequest
  /** The provider's own name of the shell. */
  readonly upstreamModel: string
}

/** A server of models. It keeps no deadlines of its own; an interrupted call also ends at the other side. */
export interface Provider {
  readonly complete: (call: Call) => Effect.Effect<ChatPart, ProviderFailure>
  /** Parts as they come, with the usage in the last ones where it is known. The next part is asked for only when it is wanted. */
  readonly stream: (call: Call) => Stream.Stream<ChatPart, ProviderFailure>
}

export const FailureKind = Schema.Literal(
  "unreachable", // no connection, or it was reset
  "timed_out", // one of its deadlines passed
  "broken", // it failed, or its answer is not a chat completion
  "empty", // an answer without a choice, as some providers give to a prompt that they block
  "misconfigured", // it does not accept the key, or does not know the model
  "busy", // it asks for fewer requests
  "rejected", // it does not accept this request
  "cooling", // its circuit breaker is open
  "unavailable" // its key is missing here
)
export type FailureKind = typeof FailureKind.Type

/** A provider gave no usable answer. `reason` is in the router's words: it repeats nothing that the provider sent. */
export class ProviderFailure extends Schema.TaggedError<ProviderFailure>()("ProviderFailure", {
  provider: Schema.String,
  kind: FailureKind,
  reason: Schema.String,
  retryAfterMillis: Schema.optional(Schema.Number)
}) {
  override get message(): string {
    return `provider ${this.provider} ${this.reason}`
  }
}

/**
 * Whether the provider is at fault, not the request or the shell: such failures in a row open its circuit breaker. A model that
 * the provider does not have leaves its other shells available.
 */
export const countsAgainst = (kind: FailureKind): boolean =>
  kind === "unreachable" || kind === "timed_out" || kind === "broken" || kind === "busy"

const detailsOf = (error: unknown): ReadonlyArray<unknown> => {
  const details = memberOf(memberOf(error, "error"), "details")
  return Array.isArray(details) ? details : []
}

/** Google refuses a key by status 400, as it does a request, and says so in an `ErrorInfo`; its OpenAI endpoint wraps errors in a list. */
const refusesKey = (body: unknown): boolean =>
  (Array.isArray(body) ? body : [body])
    .flatMap(detailsOf)
    .some((detail) => memberOf(detail, "reason") === "API_KEY_INVALID")

const refusedKey = (status: number) =>
  ({ kind: "misconfigured", reason: `does not accept our credentials (status ${status})` }) as const

/** The failure for a status, in the router's words. The body may hold anything, keys included, so nothing of it is repeated. */
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
