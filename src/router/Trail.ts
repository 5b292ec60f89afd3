import type { AuditLog } from "../audit/AuditLog.ts"
import type { AuditResult } from "../domain/AuditEvent.ts"
import type { Course } from "./Course.ts"
import type { Shell } from "./models/Catalog.ts"
import { shellResource } from "./route/ShellResource.ts"

/**
 * What the router decides after the gatekeeper did.
 *
 * - `route`: a shell answers (ALLOWED), or none does (DENIED, INVALID).
 * - `route.fallback`: a shell that was allowed did not answer, and the next one is asked.
 * - `route.completed`, `route.failed`, `route.aborted`: how an answer that had begun ended.
 */
export type RouteAction = "route" | "route.fallback" | "route.completed" | "route.failed" | "route.aborted"

export interface RouteFact {
  readonly action: RouteAction
  readonly result: AuditResult
  readonly reason: string
  /** By default the course's own. */
  readonly shell?: Shell | undefined
  readonly metadata?: Readonly<Record<string, unknown>>
}

/** Records with what is known of the request, and never with what was said in it. */
export const tell = (trail: typeof AuditLog.Service, course: Course, fact: RouteFact) => {
  const shell = fact.shell ?? course.shell
  const { request } = course
  return trail.record({
    action: fact.action,
    resource: shell === undefined ? null : shellResource(shell),
    ghostId: course.ghostId ?? null,
    shellId: shell?.name ?? null,
    result: fact.result,
    reason: fact.reason,
    requestId: course.requestId,
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
      ...(course.sessionId === undefined ? {} : { session_id: course.sessionId }),
      ...(course.tried.length === 0 ? {} : { tried: course.tried }),
      ...fact.metadata
    }
  })
}
