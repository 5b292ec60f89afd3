import * as Deferred from "effect/Deferred"
import * as FiberId from "effect/FiberId"
import type { GuardianRefused } from "../../clients/GuardianClient.ts"
import type { DisconnectReason } from "../../platform/http/RequestContext.ts"
import type { Shell } from "../models/Catalog.ts"
import type { ChatPart, Usage } from "../protocol/ChatPart.ts"
import type { ChatRequest } from "../protocol/ChatRequest.ts"

/**
 * How a request ended. `aborted`: its connection was closed before the answer was complete, by the client or by the router.
 * A `refused` request has its audit row already; the finalizer or the stream records the others.
 */
export type RouteOutcome = "completed" | "failed" | "aborted" | "refused"

/**
 * The state of one chat request, for whichever part ends it: provider, client or server. The trail, the history and the session
 * are told what was true then. The request's own fiber writes to it; only `disconnect` is written by what closes the connection.
 */
export interface ChatRequestContext {
  readonly requestId: string
  readonly authorization: string | undefined
  readonly startedAtMillis: number
  /** Whether the history stores the content of messages. */
  readonly storeContent: boolean
  request: ChatRequest | undefined
  /** The caller's name, as the gatekeeper returned it. */
  ghostId: string | undefined
  sessionId: string | undefined
  /** The guardian's reason to end the session: a certificate was revoked, or the session is over. */
  readonly sessionOver: Deferred.Deferred<GuardianRefused>
  /** The shell that is being asked, or has answered. */
  shell: Shell | undefined
  usage: Usage | undefined
  finishReason: string | undefined
  /** The text of the answer so far, where content is stored; bounded. */
  output: string
  outcome: RouteOutcome | undefined
  /** Shells that were asked and did not answer, each with its reason. */
  readonly tried: Array<string>
  /** Why the router closed the connection; undefined where the client did. `unread`: the client did not read the answer. */
  disconnect: DisconnectReason | "unread" | "session_over" | undefined
}

export const makeChatRequestContext = (
  facts: Pick<ChatRequestContext, "requestId" | "authorization" | "startedAtMillis" | "storeContent">
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
  disconnect: undefined
})

/** Characters of an answer that are stored, so that a provider that does not stop cannot fill the memory. */
const maximumOutput = 1024 * 1024

/** Appends a part of the answer. */
export const appendOutput = (
  context: ChatRequestContext,
  part: Pick<ChatPart, "text" | "usage" | "finishReason">
): void => {
  if (part.usage !== undefined) context.usage = part.usage
  if (part.finishReason !== undefined) context.finishReason = part.finishReason
  if (context.storeContent && context.output.length < maximumOutput) {
    context.output += part.text.slice(0, maximumOutput - context.output.length)
  }
}
