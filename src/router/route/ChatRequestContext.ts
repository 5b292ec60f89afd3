import * as Effect from "effect/Effect"
import { AuditLog } from "../../audit/AuditLog.ts"
import type { GuardianRefused } from "../../clients/GuardianClient.ts"
import { type AuditResult, type Facts, metadataWithheld } from "../../domain/AuditEvent.ts"
import type { DisconnectReason } from "../../platform/http/RequestContext.ts"
import { type Shell, shellResource } from "../models/Catalog.ts"
import type { ChatPart, Usage } from "../protocol/ChatPart.ts"
import type { ChatRequest } from "../protocol/ChatRequest.ts"
import { makeWholeAnswer, type WholeAnswer } from "../protocol/WholeAnswer.ts"

/** How a request ended. `aborted`: the connection was closed before the answer was complete. A `refused` one has its audit row already. */
export type RouteOutcome = "completed" | "failed" | "aborted" | "refused"

/**
 * The state of one chat request, for whichever part ends it: provider, client or server. The trail, the history and the session
 * are told what was true then. The request's own fiber writes to it; only `disconnect` is written by what closes the connection.
 */
export interface ChatRequestContext {
  readonly requestId: string
  readonly authorization: string | undefined
  readonly startedAtMillis: number
  readonly storeContent: boolean
  request: ChatRequest | undefined
  /** The caller's name, as the gatekeeper returned it. */
  ghostId: string | undefined
  /** The gatekeeper knows the caller, and did not return its name. */
  isAuthenticated: boolean
  sessionId: string | undefined
  /** Whether the guardian has started the session. */
  hasSession: boolean
  /** The policy in force when the caller was last authorised for the shell, as far as this process knows. */
  policyVersion: string | undefined
  /** Why the answer must end: AnswerWatch says so. */
  readonly over: AnswerEndSignal
  /** The shell that is being asked, or has answered. */
  shell: Shell | undefined
  usage: Usage | undefined
  finishReason: string | undefined
  /** The answer so far, where content is stored; bounded. */
  readonly answer: WholeAnswer
  /** Characters that the answer has said so far. */
  characters: number
  outcome: RouteOutcome | undefined
  /** Shells that were asked and did not answer, each with its reason. */
  readonly tried: Array<string>
  /** Why the router closed the connection; undefined where the client did. `unread`: the client did not read the answer. */
  disconnect: DisconnectReason | "unread" | AnswerEnd["closedBy"] | undefined
}

/** Why an answer under way must end. */
export interface AnswerEnd {
  readonly closedBy:
    | "stopped"
    | "token_expired"
    | "session_over"
    | "access_withdrawn"
    | "stops_unknown"
    | "router_stopped"
  readonly code: GuardianRefused["code"] | "peer_unavailable"
  readonly reason: string
}

/** Why an answer must end: given once, and passed to what listens, which costs a request less than a fiber that waits. */
export interface AnswerEndSignal {
  readonly given: () => AnswerEnd | undefined
  readonly give: (end: AnswerEnd) => void
  /** Calls back once, at once where it has been given. Returns how to stop listening. */
  readonly listen: (listener: (end: AnswerEnd) => void) => () => void
}

const makeAnswerEndSignal = (): AnswerEndSignal => {
  let given: AnswerEnd | undefined
  const listeners = new Set<(end: AnswerEnd) => void>()
  return {
    given: () => given,
    give: (end) => {
      if (given !== undefined) return
      given = end
      for (const listener of listeners) listener(end)
    },
    listen: (listener) => {
      if (given === undefined) listeners.add(listener)
      else listener(given)
      return () => void listeners.delete(listener)
    }
  }
}

/** Characters of an answer that are stored, so that a provider that does not stop cannot fill the memory. */
const maximumOutput = 1024 * 1024

export const makeChatRequestContext = (
  facts: Pick<ChatRequestContext, "requestId" | "authorization" | "startedAtMillis" | "storeContent" | "policyVersion">
): ChatRequestContext => ({
  ...facts,
  request: undefined,
  ghostId: undefined,
  isAuthenticated: false,
  sessionId: undefined,
  hasSession: false,
  over: makeAnswerEndSignal(),
  shell: undefined,
  usage: undefined,
  finishReason: undefined,
  answer: makeWholeAnswer(maximumOutput),
  characters: 0,
  outcome: undefined,
  tried: [],
  disconnect: undefined
})

export const appendOutput = (context: ChatRequestContext, part: ChatPart): void => {
  if (part.usage !== undefined) context.usage = part.usage
  if (part.finishReason !== undefined) context.finishReason = part.finishReason
  context.characters += part.characters
  if (context.storeContent) context.answer.add(part)
}

/**
 * What the router decides after the gatekeeper did. Its `action` is one of:
 *
 * - `route`: a shell answers (ALLOWED), or none does (DENIED, INVALID).
 * - `route.fallback`: a shell that was allowed did not answer, and the next one is asked.
 * - `route.completed`, `route.failed`, `route.aborted`: how an answer that had begun ended.
 */
export interface RouteEvent {
  readonly action: "route" | "route.fallback" | "route.completed" | "route.failed" | "route.aborted"
  readonly result: AuditResult
  readonly reason: string
  /** By default the context's own. */
  readonly shell?: Shell | undefined
  readonly facts?: Facts
}

/** Records an event with what is known of the request, but never with the content of its messages. */
export const recordRouteEvent = (context: ChatRequestContext, event: RouteEvent) => {
  const shell = event.shell ?? context.shell
  // What a caller says of itself is recorded once the gatekeeper knows it.
  const isKnown = context.ghostId !== undefined || context.isAuthenticated
  const request = isKnown ? context.request : undefined
  return Effect.flatMap(AuditLog, (trail) =>
    trail.record({
      action: event.action,
      resource: shell === undefined ? null : shellResource(shell),
      ghostId: context.ghostId ?? null,
      isAuthenticated: context.isAuthenticated,
      shellId: shell?.name ?? null,
      result: event.result,
      reason: event.reason,
      requestId: context.requestId,
      ...(request === context.request ? {} : { marks: [metadataWithheld] }),
      facts: {
        ...(request === undefined
          ? {}
          : {
              model: request.model,
              messages: request.messages.length,
              stream: request.stream,
              complexity: request.complexity,
              priority: request.priority
            }),
        ...(shell === undefined ? {} : { provider: shell.provider }),
        ...(context.sessionId === undefined ? {} : { session_id: context.sessionId }),
        ...(context.tried.length === 0 ? {} : { tried: context.tried }),
        ...event.facts
      }
    })
  )
}
