import * as Deferred from "effect/Deferred"
import * as FiberId from "effect/FiberId"
import type { GuardianRefused } from "../../clients/GuardianClient.ts"
import type { CutOff } from "../../platform/http/DisconnectReason.ts"
import type { Shell } from "../models/Catalog.ts"
import type { Usage } from "../protocol/ChatPart.ts"
import type { ChatRequest } from "../protocol/ChatRequest.ts"

/**
 * How a request ended. `aborted`: its connection was closed before its answer was whole, by the client or at this side. `refused` has its
 * row in the trail before; the others get theirs where it becomes known.
 */
export type RouteOutcome = "completed" | "failed" | "aborted" | "refused"

/**
 * What is known of one request while it runs, for its end: whoever ends it, the provider, the client or the server, the trail, the
 * history and the session learn what was true then. The request's own fiber writes to it; `cut` alone is written by who closes.
 */
export interface ChatRequestContext {
  readonly requestId: string
  readonly authorization: string | undefined
  readonly startedAtMillis: number
  request: ChatRequest | undefined
  /** As the gatekeeper knows the caller. */
  ghostId: string | undefined
  sessionId: string | undefined
  /** Why the session may not go on, once the guardian said so: a certificate was revoked, or the session is over. */
  readonly sessionOver: Deferred.Deferred<GuardianRefused>
  /** The shell that is being asked, or has answered. */
  shell: Shell | undefined
  usage: Usage | undefined
  finishReason: string | undefined
  /** What the answer says so far, where content is stored; bounded. */
  output: string
  outcome: RouteOutcome | undefined
  /** Shells that were asked and did not answer, each with its reason. */
  readonly tried: Array<string>
  /**
   * Why the connection was closed at this side: as the listener says, or because the client did not read, or the session may not
   * go on. Undefined: the client hung up.
   */
  cut: CutOff | "unread" | "session_over" | undefined
}

export const makeChatRequestContext = (
  facts: Pick<ChatRequestContext, "requestId" | "authorization" | "startedAtMillis">
): ChatRequestContext => ({
  ...facts,
  request: undefined,
  ghostId: undefined,
  sessionId: undefined,
  sessionOver: Deferred.unsafeMake(FiberId.none),
  shell: undefined,
  usage: undefined,
  finishReason: undefined,
  output: "",
  outcome: undefined,
  tried: [],
  cut: undefined
})

/** Characters of an answer that are stored; a provider that does not stop fills no memory. */
const maximumOutput = 1024 * 1024

/** Notes a piece of the answer. */
export const appendOutput = (
  context: ChatRequestContext,
  part: { readonly text: string; readonly usage: Usage | undefined; readonly finishReason: string | undefined },
  storeContent: boolean
): void => {
  if (part.usage !== undefined) context.usage = part.usage
  if (part.finishReason !== undefined) context.finishReason = part.finishReason
  if (storeContent && context.output.length < maximumOutput) {
    context.output += part.text.slice(0, maximumOutput - context.output.length)
  }
}
