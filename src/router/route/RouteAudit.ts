import type { AuditLog } from "../../audit/AuditLog.ts"
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

/** Records with what is known of the request, and never with what was said in it. */
export const recordRouteEvent = (trail: typeof AuditLog.Service, context: ChatRequestContext, fact: RouteEvent) => {
  const shell = fact.shell ?? context.shell
  const { request } = context
  return trail.record({
    action: fact.action,
    resource: shell === undefined ? null : shellResource(shell),
    ghostId: context.ghostId ?? null,
    shellId: shell?.name ?? null,
    result: fact.result,
    reason: fact.reason,
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
      ...fact.metadata
    }
  })
}
