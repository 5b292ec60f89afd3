import { memberOf } from "../../domain/Text.ts"
import type { FailureKind, ProviderFailure } from "./Provider.ts"

/** What a failure is, in the router's words. */
export type FailureFields = Pick<ProviderFailure, "kind" | "reason"> & Partial<Pick<ProviderFailure, "code" | "param">>

/** Google's OpenAI endpoint wraps errors in a list. */
const errorsOf = (body: unknown): ReadonlyArray<unknown> =>
  (Array.isArray(body) ? body : [body]).map((one) => memberOf(one, "error") ?? one)

/** Google refuses a key by status 400, as it does a request, and says so in an `ErrorInfo`. */
const refusesKey = (error: unknown): boolean => {
  const details = memberOf(error, "details")
  return Array.isArray(details) && details.some((detail) => memberOf(detail, "reason") === "API_KEY_INVALID")
}

/** The codes and types by which providers refuse what a request, or its answer, is about. */
const contentCodes: ReadonlySet<unknown> = new Set([
  "content_filter",
  "content_policy_violation",
  "content_blocked",
  "moderation_blocked",
  "moderation_failed",
  "data_inspection_failed",
  "responsible_ai_policy_violation",
  "ResponsibleAIPolicyViolation",
  "SAFETY",
  "PROHIBITED_CONTENT"
])

const contextCodes: ReadonlySet<unknown> = new Set([
  "context_length_exceeded",
  "context_window_exceeded",
  "exceed_context_size_error",
  "max_tokens_exceeded",
  "prompt_too_long"
])

const quotaCodes: ReadonlySet<unknown> = new Set([
  "insufficient_quota",
  "billing_hard_limit_reached",
  "billing_not_active"
])

/** vLLM, Anthropic, Google, Mistral, llama.cpp and others have no code for it, and say it in these words. */
const contextWords =
  /maximum context length|context (length|window|size)|prompt is too long|input token count .{0,40}exceeds|too many input tokens/i

/** OpenRouter has no code for it either. */
const contentWords =
  /content (management )?policy|requires moderation|flagged (by|as|for)|safety system|content filter/i

type Meaning = "key" | "content" | "context" | "quota"

const meaningOfError = (error: unknown): Meaning | undefined => {
  if (refusesKey(error)) return "key"
  const inner = memberOf(error, "innererror")
  const codes = [error, inner].flatMap((one) => [memberOf(one, "code"), memberOf(one, "type"), memberOf(one, "status")])
  const has = (known: ReadonlySet<unknown>) => codes.some((code) => known.has(code))
  const text = memberOf(error, "message")
  const says = (words: RegExp) => typeof text === "string" && words.test(text.slice(0, 2_000))
  const metadata = memberOf(error, "metadata")
  if (has(contentCodes) || Array.isArray(memberOf(metadata, "reasons")) || says(contentWords)) return "content"
  if (has(contextCodes) || says(contextWords)) return "context"
  return has(quotaCodes) ? "quota" : undefined
}

const meaningOf = (body: unknown): Meaning | undefined => {
  for (const error of errorsOf(body)) {
    const meaning = meaningOfError(error)
    if (meaning !== undefined) return meaning
  }
  return undefined
}

const refusedContent: FailureFields = {
  kind: "refused",
  reason: "refuses what this request is about"
}

const tooLong: FailureFields = {
  kind: "rejected",
  code: "context_length_exceeded",
  param: "messages",
  reason: "does not accept a conversation as long as this, with the limit of its answer"
}

const noCredit: FailureFields = { kind: "misconfigured", reason: "has no credit left for our key" }

const refusedKey = (status: number): FailureFields => ({
  kind: "misconfigured",
  reason: `does not accept our credentials (status ${status})`
})

/** The failure of an error that came in place of an answer, or in the middle of it. */
export const failureOfError = (body: unknown): FailureFields => {
  switch (meaningOf(body)) {
    case "content":
      return refusedContent
    case "context":
      return tooLong
    default:
      return { kind: "broken", reason: "failed in the middle of its answer" }
  }
}

/** Statuses whose body says more. */
export const isExplained = (status: number): boolean => [400, 403, 413, 422, 429].includes(status)

/** The failure for a status, in the router's words. The body may hold anything, keys included, so nothing of it is repeated. */
export const failureOfStatus = (status: number, body?: unknown): FailureFields => {
  const meaning = isExplained(status) ? meaningOf(body) : undefined
  const rejected = status === 400 || status === 413 || status === 422
  if (meaning === "key" && rejected) return refusedKey(status)
  if (meaning === "content" && status !== 429) return refusedContent
  if (meaning === "context" && rejected) return tooLong
  if (meaning === "quota") return noCredit
  return { kind: kindOf(status), reason: reasonOf(status) }
}

const kindOf = (status: number): FailureKind => {
  switch (status) {
    case 401:
    case 402:
    case 403:
    case 404:
      return "misconfigured"
    case 429:
      return "busy"
    case 400:
    case 413:
    case 422:
      return "rejected"
    case 408:
    case 504:
    case 524:
      return "timed_out"
    default:
      return "broken"
  }
}

const reasonOf = (status: number): string => {
  if (status === 402) return noCredit.reason
  if (status === 404) return "does not know the model, or is not at its base_url (status 404)"
  switch (kindOf(status)) {
    case "misconfigured":
      return refusedKey(status).reason
    case "busy":
      return `asks for fewer requests (status ${status})`
    case "rejected":
      return `does not accept this request (status ${status})`
    case "timed_out":
      return `did not answer in time (status ${status})`
    default:
      return `failed (status ${status})`
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
export const failureOfConnection = (error: unknown): FailureFields => {
  const code = codeOf(error)
  const shown = code === undefined ? "" : ` (${code})`
  return timeouts.includes(code)
    ? { kind: "timed_out", reason: `cannot be reached in time${shown}` }
    : { kind: "unreachable", reason: `cannot be reached, or hung up${shown}` }
}
