import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { AuditLog } from "../audit/AuditLog.ts"
import type { AuditUnavailable } from "../audit/AuditUnavailable.ts"
import { type Authorized, GatekeeperClient, type NotAuthorized } from "../clients/GatekeeperClient.ts"
import { type ErrorCode, statusOf } from "../contracts/ErrorCodes.ts"
import type { AuditResult } from "../domain/AuditEvent.ts"
import { errorResponse } from "../platform/http/ErrorResponse.ts"
import { requestId } from "../platform/http/RequestId.ts"
import type { NotCertified } from "./certificates/Certification.ts"
import { resourceProblem } from "./Names.ts"
import type { DatabaseUnavailable } from "./Store.ts"

/** The guardian decided against it, after the gatekeeper had allowed it. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  code: Schema.Literal(
    "session_not_found",
    "certificate_not_found",
    "badge_not_found",
    "session_exists",
    "session_over"
  ),
  reason: Schema.String
}) {
  override get message(): string {
    return this.reason
  }
}

/** The request cannot be understood: what was wrong. */
export class InvalidRequest extends Schema.TaggedError<InvalidRequest>()("InvalidRequest", {
  code: Schema.Literal("invalid_request", "body_too_large"),
  reason: Schema.String
}) {
  override get message(): string {
    return this.reason
  }
}

/** What was done for the caller. */
export interface Done {
  readonly status?: 200 | 201
  readonly body: unknown
  /** For the trail. */
  readonly reason: string
  readonly metadata?: Readonly<Record<string, unknown>>
  /**
   * Takes back what was done, where the trail cannot say that it was; left out where nothing was changed. `stands`: what is
   * revoked or ended stays so, and the log says it.
   */
  readonly undo?: Effect.Effect<unknown, DatabaseUnavailable> | "stands"
}

export interface Caller extends Authorized {
  readonly requestId: string
}

/**
 * One thing that the guardian is asked. `I` holds what `resource` is made of, whatever had to be looked up for it included: work
 * that looked again could find something else than the gatekeeper allowed.
 */
export interface Task<I> {
  /** Names it in the trail: `session.start`. */
  readonly event: string
  /** What the gatekeeper is asked for. */
  readonly may: "read" | "write" | "execute"
  /** The resource of a request whose own cannot be read. */
  readonly within: string
  readonly resource: (input: I) => string
  readonly work: (input: I, caller: Caller) => Effect.Effect<Done, Refused | NotCertified | DatabaseUnavailable>
}

const retry = { "retry-after": "1" }

/** RFC 6750, section 3: a request without credentials gets no error code. */
const challenge = (authorization: string | undefined, reason: string): string =>
  authorization === undefined
    ? 'Bearer realm="gravitas"'
    : `Bearer realm="gravitas", error="invalid_token", error_description="${reason.replace(/[^ !#-[\]-~]/g, "'")}"`

const notAuthorized = (refusal: NotAuthorized, id: string, authorization: string | undefined) =>
  errorResponse({
    status: statusOf(refusal.code),
    code: refusal.code,
    message: refusal.reason,
    requestId: id,
    ...(refusal.auditId === undefined ? {} : { auditId: refusal.auditId }),
    ...(refusal.code === "unauthenticated"
      ? { headers: { "www-authenticate": challenge(authorization, refusal.reason) } }
      : {})
  })

const auditUnavailable = (error: AuditUnavailable, id: string) =>
  errorResponse({
    status: statusOf("audit_unavailable"),
    code: "audit_unavailable",
    message: error.message,
    requestId: id,
    headers: retry
  })

/**
 * The one way to an answer of the guardian: read the request, ask the gatekeeper, do it, record what became of it, and only then
 * answer. What the gatekeeper refuses it has recorded itself; everything else gets a row here, under the same request id.
 */
export const answering = Effect.map(Effect.all([AuditLog, GatekeeperClient]), ([trail, gatekeeper]) => {
  const answer = <I>(
    task: Task<I>,
    request: HttpServerRequest.HttpServerRequest,
    input: Effect.Effect<I, InvalidRequest | DatabaseUnavailable>
  ) => {
    const id = requestId(request)
    const authorization = request.headers["authorization"]

    const record = (
      result: AuditResult,
      resource: string,
      reason: string,
      ghostId: string | null,
      metadata: Readonly<Record<string, unknown>> = {}
    ) => trail.record({ action: task.event, resource, ghostId, shellId: null, result, reason, requestId: id, metadata })

    /** Recorded as denied, and answered so. */
    const deny = (
      code: ErrorCode,
      message: string,
      resource: string,
      ghostId: string | null,
      result: "DENIED" | "INVALID" = "DENIED"
    ) =>
      Effect.map(record(result, resource, message, ghostId), (auditId) =>
        errorResponse({
          status: statusOf(code),
          code,
          message,
          requestId: id,
          auditId,
          ...(statusOf(code) === 503 ? { headers: retry } : {})
        })
      )

    /** A fault of the guardian's own, which is answered elsewhere; the log has its cause under the request's id. */
    const failed = (resource: string, ghostId: string | null) =>
      Effect.ignore(record("DENIED", resource, "the guardian failed, and what was asked may have been done", ghostId))

    const authorize = (resource: string) =>
      gatekeeper.authorize({
        authorization,
        requestId: id,
        action: task.may,
        resource,
        metadata: { service: "guardian", event: task.event }
      })

    /** Who cannot be understood is told so only after the gatekeeper knows them; what they may do does not matter then. */
    const invalid = (problem: InvalidRequest) =>
      authorize(task.within).pipe(
        Effect.map(({ ghostId }) => ghostId),
        Effect.catchTag("NotAuthorized", (refusal) =>
          refusal.code === "unauthenticated" ? Effect.fail(refusal) : Effect.succeed(null)
        ),
        Effect.flatMap((ghostId) => deny(problem.code, problem.reason, task.within, ghostId, "INVALID"))
      )

    const perform = (given: I, resource: string, caller: Caller) =>
      // Whoever hangs up now is not told, but what was done has its row.
      Effect.uninterruptible(
        Effect.gen(function* () {
          const outcome = yield* Effect.either(
            Effect.tapDefect(task.work(given, caller), () => failed(resource, caller.ghostId))
          )
          if (Either.isLeft(outcome)) {
            const failure = outcome.left
            const code =
              failure._tag === "NotCertified"
                ? "not_certified"
                : failure._tag === "DatabaseUnavailable"
                  ? "database_unavailable"
                  : failure.code
            return yield* deny(code, failure.message, resource, caller.ghostId)
          }
          const { body, metadata, reason, status, undo } = outcome.right
          const stands = (why: string) =>
            Effect.logError(`ALARM: ${task.event} on ${resource} has no row in the trail and stands${why}`)
          const auditId = yield* record("ALLOWED", resource, reason, caller.ghostId, metadata).pipe(
            Effect.tapError(() => {
              if (undo === undefined) return Effect.void
              return undo === "stands" ? stands("") : Effect.catchAll(undo, (error) => stands(`: ${error.reason}`))
            })
          )
          return HttpServerResponse.unsafeJson(body, {
            status: status ?? 200,
            headers: { "cache-control": "no-store", "x-audit-id": auditId }
          })
        })
      )

    return Effect.gen(function* () {
      const given = yield* Effect.either(Effect.tapDefect(input, () => failed(task.within, null)))
      if (Either.isLeft(given)) {
        return yield* given.left._tag === "InvalidRequest"
          ? invalid(given.left)
          : deny("database_unavailable", given.left.message, task.within, null)
      }
      const resource = task.resource(given.right)
      const tooLong = resourceProblem(resource)
      if (tooLong !== undefined) return yield* invalid(new InvalidRequest({ code: "invalid_request", reason: tooLong }))
      const caller = yield* Effect.either(authorize(resource))
      if (Either.isRight(caller)) return yield* perform(given.right, resource, { ...caller.right, requestId: id })
      if (caller.left._tag === "PeerUnavailable") {
        return yield* deny("peer_unavailable", caller.left.message, resource, null)
      }
      return yield* caller.left
    }).pipe(
      Effect.catchTags({
        NotAuthorized: (refusal) => Effect.succeed(notAuthorized(refusal, id, authorization)),
        PeerUnavailable: (error) => deny("peer_unavailable", error.message, task.within, null)
      }),
      Effect.catchTag("AuditUnavailable", (error) => Effect.succeed(auditUnavailable(error, id)))
    )
  }
  return answer
})

export type Answer = Effect.Effect.Success<typeof answering>
