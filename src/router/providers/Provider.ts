import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { ChatPart } from "../protocol/ChatPart.ts"
import type { ChatRequest } from "../protocol/ChatRequest.ts"
import type { ProviderFailure } from "./ProviderFailure.ts"

export interface Call {
  readonly request: ChatRequest
  /** What the provider calls the shell. */
  readonly upstreamModel: string
}

/** Whoever serves models. It keeps no deadlines of its own; interrupting it ends the call at the other side too. */
export interface Provider {
  readonly complete: (call: Call) => Effect.Effect<ChatPart, ProviderFailure>
  /** Pieces as they come; the usage, where it is known, in the last ones. Asks for the next piece only when it is wanted. */
  readonly stream: (call: Call) => Stream.Stream<ChatPart, ProviderFailure>
}
