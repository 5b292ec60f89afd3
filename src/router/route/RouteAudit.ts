import * as Effect from "effect/Effect"
import { AuditLog } from "../../audit/AuditLog.ts"
import type { AuditResult } from "../../domain/AuditEvent.ts"
import type { Shell } from "../models/Catalog.ts"
import { shellResource } from "../models/ShellResource.ts"
import type { ChatRequestContext } from "./ChatRequestContext.ts"

/**
 * What the router decides after the gatekeeper did.
 *
 * - `route`: a shell answers (ALLOWED), or none does (DENIED, INVALID).
 * - `route.fallback`: a shell that was allowed did not answer, and the next one is asked.
 * - `route.completed`, `route.failed`, `route.aborted`: how an answer that had begun ended.
 */
export type RouteAction = "route" | "route.fallback" | "route.completed" | "route.failed" | "route.aborted"

export interface RouteEvent {
  readonly action: RouteAction
  readonly result: AuditResult
  readonly reason: string
  /** By default the context's own. */
  readonly shell?: Shell | undefined
  readonly metadata?: Readonly<Record<string, unknown>>
}

/** Records an event with what is known of the request, but never with the content of its messages. */
export const recordRouteEvent = (context: ChatRequestContext, event: RouteEvent) => {
  const shell = event.shell ?? context.shell
  const { request } = context
  return Effect.flatMap(AuditLog, (trail) =>
    trail.record({
      action: event.action,
      resource: shell === undefined ? null : shellResource(shell),
      ghostId: context.ghostId ?? null,
      shellId: shell?.name ?? null,
      result: event.result,
      reason: event.reason,
      requestId: context.requestId,
      metadata: {
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
        ...event.metadata
      }
    })
  )
}
