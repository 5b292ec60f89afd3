import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { maximumOperationBytes } from "../../audit/remote/TrailProtocol.ts"
import type { TrailService } from "../../audit/remote/TrailService.ts"
import { statusOf } from "../../contracts/ErrorCodes.ts"
import { errorResponse } from "../../platform/http/ErrorResponse.ts"
import { readJson } from "../../platform/http/RequestBody.ts"
import { requestId } from "../../platform/http/RequestId.ts"
import type { AccessControl, Asked } from "../AccessControl.ts"
import { elseAuditUnavailable, refusalResponse } from "../Refusals.ts"
import * as Leases from "./Leases.ts"

const resource = "audit/store"

const operationOf = ({ url }: HttpServerRequest.HttpServerRequest): string =>
  url.split("?", 1).join("").split("/").at(-1) ?? ""

/**
 * `POST /audit/store/:operation`: the trail of a process elsewhere.
 *
 * A process writes many times a minute, and a row for each of its batches would double a quiet trail: the decision is recorded
 * once and stands for a minute, for that very token. What is refused is recorded each time.
 */
export const keepStore = (access: typeof AccessControl.Service, service: typeof TrailService.Service) => {
  const leases = Leases.make()

  const record = (
    request: HttpServerRequest.HttpServerRequest,
    ghostId: string,
    result: "DENIED" | "INVALID",
    reason: string
  ) =>
    access.note({
      action: "write",
      resource,
      ghostId,
      shellId: null,
      result,
      reason,
      requestId: requestId(request),
      metadata: { operation: operationOf(request) }
    })

  /** The caller, or the answer that refuses it. */
  const admit = Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
    const id = requestId(request)
    const operation = operationOf(request)
    const authorization = request.headers["authorization"]
    const isKnown = service.operations.has(operation)
    const holder = isKnown ? yield* leases.holderOf(authorization) : undefined
    if (holder !== undefined) return Either.right(holder)
    const claimed = {
      action: "write",
      resource,
      metadata: { operation, stands_for_seconds: Duration.toSeconds(Leases.leaseTime) }
    }
    const message = `there is no operation ${JSON.stringify(operation.slice(0, 50))}`
    const asked: Asked = {
      authorization,
      requestId: id,
      access: isKnown ? Either.right(claimed) : Either.left({ message, claimed })
    }
    const outcome = yield* access.ask(asked)
    if (outcome._tag !== "Allowed") return Either.left(refusalResponse(outcome, id))
    yield* leases.give(authorization, outcome.ghostId)
    return Either.right(outcome.ghostId)
  })

  return Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
    const id = requestId(request)
    const operation = operationOf(request)
    // Before the body: only who may write here may send so much.
    const admitted = yield* admit(request)
    if (Either.isLeft(admitted)) return admitted.left
    const ghostId = admitted.right
    const refuse = (code: "body_too_large" | "invalid_request" | "source_of_another", message: string) =>
      Effect.map(record(request, ghostId, code === "source_of_another" ? "DENIED" : "INVALID", message), (auditId) =>
        errorResponse({ status: statusOf(code), code, message, requestId: id, auditId })
      )
    const body = yield* Effect.either(readJson(request, maximumOperationBytes))
    if (Either.isLeft(body)) {
      const isTooLarge = body.left._tag === "RequestBodyTooLarge"
      return yield* refuse(isTooLarge ? "body_too_large" : "invalid_request", body.left.message)
    }
    const answering = service.operations.get(operation)
    if (answering === undefined) return yield* refuse("invalid_request", `there is no operation ${operation}`)
    return yield* answering(ghostId, body.right).pipe(
      Effect.map((answer) => HttpServerResponse.unsafeJson(answer, { headers: { "cache-control": "no-store" } })),
      Effect.catchTags({
        UnreadableOperation: ({ message }) => refuse("invalid_request", message),
        SourceRefused: ({ message }) =>
          // Whoever takes journals over asks first, and is no forger.
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
