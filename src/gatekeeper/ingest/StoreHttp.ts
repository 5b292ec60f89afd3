import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { maximumOperationBytes } from "../../audit/remote/TrailProtocol.ts"
import { TrailService } from "../../audit/remote/TrailService.ts"
import { refusalResponse } from "../../platform/http/ErrorResponse.ts"
import { requestId } from "../../platform/http/RequestContext.ts"
import { readJson } from "../../platform/http/RequestDecoding.ts"
import { AccessControl, type AccessQuestion } from "../AccessControl.ts"
import { leaseTime, makeLeases } from "../Leases.ts"
import { elseAuditUnavailable, refusalOf } from "../Refusals.ts"

const resource = "audit/store"

const operationOf = ({ url }: HttpServerRequest.HttpServerRequest): string =>
  url.split("?", 1).join("").split("/").at(-1) ?? ""

const recordWith =
  (access: typeof AccessControl.Service) =>
  (request: HttpServerRequest.HttpServerRequest, ghostId: string, result: "DENIED" | "INVALID", reason: string) =>
    access.record({
      action: "write",
      resource,
      ghostId,
      shellId: null,
      result,
      reason,
      requestId: requestId(request),
      facts: { operation: operationOf(request) }
    })

/**
 * `POST /audit/store/:operation`: the trail of a process on another machine.
 *
 * A raw route: the permission is checked before the body is read, since only a caller that may write here may send so much. Such a
 * process writes many times a minute, and a row for each batch would double a quiet trail. So the decision is recorded once and is
 * valid for a minute, for that token (Leases.ts). Each refusal is recorded.
 */
export const storeOperation = Effect.map(
  Effect.all([AccessControl, TrailService, makeLeases]),
  ([access, service, { lease }]) => {
    const record = recordWith(access)

    /** The ghost of the caller, or the answer that refuses it. */
    const admit = Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
      const id = requestId(request)
      const operation = operationOf(request)
      const authorization = request.headers["authorization"]
      const isKnown = service.operations.has(operation)
      const claimed = {
        action: "write",
        resource,
        facts: { operation, stands_for_seconds: Duration.toSeconds(leaseTime) }
      }
      const message = `there is no operation ${JSON.stringify(operation.slice(0, 50))}`
      const question: AccessQuestion = {
        authorization,
        requestId: id,
        access: isKnown ? Either.right(claimed) : Either.left({ message, claimed })
      }
      const outcome = yield* isKnown ? lease(question) : access.ask(question)
      if (outcome._tag === "Leased") return Either.right(outcome.token.ghostId)
      return outcome._tag === "Allowed"
        ? yield* Effect.dieMessage("a question with a problem was allowed")
        : Either.left(refusalResponse(refusalOf(outcome), id))
    })

    return Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
      const id = requestId(request)
      const operation = operationOf(request)
      const admitted = yield* admit(request)
      if (Either.isLeft(admitted)) return admitted.left
      const ghostId = admitted.right
      const refuse = (code: "body_too_large" | "invalid_request" | "source_of_another", message: string) =>
        Effect.map(record(request, ghostId, code === "source_of_another" ? "DENIED" : "INVALID", message), (auditId) =>
          refusalResponse({ code, message, auditId }, id)
        )
      const body = yield* Effect.either(readJson(request, maximumOperationBytes))
      if (Either.isLeft(body)) return yield* refuse(body.left.code, body.left.message)
      const answering = service.operations.get(operation)
      if (answering === undefined) return yield* refuse("invalid_request", `there is no operation ${operation}`)
      return yield* answering(ghostId, body.right).pipe(
        Effect.tap(({ refused }) =>
          refused === undefined
            ? Effect.void
            : Effect.zipRight(
                Effect.logError(
                  `ALARM: ${ghostId} may not record what it sent: ${refused}. Find out who holds its token.`
                ),
                record(request, ghostId, "DENIED", refused)
              )
        ),
        Effect.map(({ body }) => HttpServerResponse.unsafeJson(body, { headers: { "cache-control": "no-store" } })),
        Effect.catchTags({
          UnreadableOperation: ({ message }) => refuse("invalid_request", message),
          SourceRefused: ({ message }) =>
            // A process that recovers journals asks before it registers one, so its refusal is not an attack.
            operation === "register"
              ? Effect.zipRight(Effect.logInfo(`Refused: ${message}.`), refuse("source_of_another", message))
              : Effect.zipRight(
                  Effect.logError(`ALARM: ${message}. It asked for ${operation}; find out who holds its token.`),
                  refuse("source_of_another", message)
                )
        })
      )
    }, elseAuditUnavailable)
  }
)
