import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
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
  "refused", // it refuses what the request is about, by an error or by an answer without a choice
  "misconfigured", // it does not accept the key, or does not know the model
  "busy", // it asks for fewer requests
  "rejected", // it does not accept this request
  "cooling", // the circuit breaker of the shell is open
  "unavailable" // its key is missing here
)
export type FailureKind = typeof FailureKind.Type

/** A provider gave no usable answer. `reason` is in the router's words: it repeats nothing that the provider sent. */
export class ProviderFailure extends Schema.TaggedError<ProviderFailure>()("ProviderFailure", {
  provider: Schema.String,
  kind: FailureKind,
  reason: Schema.String,
  /** A code of OpenAI's that clients act on; by default the kind decides. */
  code: Schema.optional(Schema.Literal("context_length_exceeded")),
  /** The field of the request that it is about. */
  param: Schema.optional(Schema.String),
  retryAfterMillis: Schema.optional(Schema.Number),
  /** Whether the provider asks for the same request again (`x-should-retry`). */
  shouldRetry: Schema.optional(Schema.Boolean)
}) {
  override get message(): string {
    return `provider ${this.provider} ${this.reason}`
  }
}

/**
 * Whether the provider is at fault, not the request or the shell: such failures in a row open the shell's circuit breaker.
 */
export const countsAgainst = (kind: FailureKind): boolean =>
  kind === "unreachable" || kind === "timed_out" || kind === "broken" || kind === "busy"
