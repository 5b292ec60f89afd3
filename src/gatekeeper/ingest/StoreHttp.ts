import { createHash } from "node:crypto"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { maximumOperationBytes } from "../../audit/remote/TrailProtocol.ts"
import { TrailService } from "../../audit/remote/TrailService.ts"
import { requestId } from "../../platform/http/RequestContext.ts"
import { readJson } from "../../platform/http/RequestDecoding.ts"
import { AccessControl, type AccessQuestion } from "../AccessControl.ts"
import { elseAuditUnavailable, rawRefusal, refusalOf } from "../Refusals.ts"

const resource = "audit/store"

const operationOf = ({ url }: HttpServerRequest.HttpServerRequest): string =>
  url.split("?", 1).join("").split("/").at(-1) ?? ""

/** How long a decision about the store is valid, for the token that it was made for. */
const leaseTime = Duration.minutes(1)

/** The ghosts that were allowed, by their whole `Authorization` header, for `leaseTime`. */
interface Leases {
  readonly holderOf: (authorization: string | undefined) => Effect.Effect<string | undefined>
  readonly give: (authorization: string | undefined, ghostId: string) => Effect.Effect<void>
}

const keyOf = (authorization: string): string => createHash("sha256").update(authorization).digest("base64")

const makeLeases = (): Leases => {
  const leases = new Map<string, { readonly ghostId: string; readonly until: number }>()
  return {
    holderOf: (authorization) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        if (authorization === undefined) return undefined
        const lease = leases.get(keyOf(authorization))
        // More than a lease is left where the clock stepped back: the lease is not valid then.
        const left = lease === undefined ? 0 : lease.until - now
        return left > 0 && left <= Duration.toMillis(leaseTime) ? lease?.ghostId : undefined
      }),
    give: (authorization, ghostId) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        for (const [key, { until }] of leases) if (until <= now) leases.delete(key)
        if (authorization === undefined) return
        leases.set(keyOf(authorization), { ghostId, until: now + Duration.toMillis(leaseTime) })
      })
  }
}

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
      metadata: { operation: operationOf(request) }
    })

/**
 * `POST /audit/store/:operation`: the trail of a process on another machine.
 *
 * A raw route: the permission is checked before the body is read, since only a caller that may write here may send so much. Such a
 * process writes many times a minute, and a row for each batch would double a quiet trail. So the decision is recorded once and is
 * valid for a minute, for that token. Each refusal is recorded.
 */
export const storeOperation = Effect.map(Effect.all([AccessControl, TrailService]), ([access, service]) => {
  const leases = makeLeases()

  const record = recordWith(access)

  /** The ghost of the caller, or the answer that refuses it. */
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
      metadata: { operation, stands_for_seconds: Duration.toSeconds(leaseTime) }
    }
    const message = `there is no operation ${JSON.stringify(operation.slice(0, 50))}`
    const question: AccessQuestion = {
      authorization,
      requestId: id,
      access: isKnown ? Either.right(claimed) : Either.left({ message, claimed })
    }
    const outcome = yield* access.ask(question)
    if (outcome._tag !== "Allowed") return Either.left(rawRefusal(refusalOf(outcome), id))
    yield* leases.give(authorization, outcome.ghostId)
    return Either.right(outcome.ghostId)
  })

  return Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
    const id = requestId(request)
    const operation = operationOf(request)
    const admitted = yield* admit(request)
    if (Either.isLeft(admitted)) return admitted.left
    const ghostId = admitted.right
    const refuse = (code: "body_too_large" | "invalid_request" | "source_of_another", message: string) =>
      Effect.map(record(request, ghostId, code === "source_of_another" ? "DENIED" : "INVALID", message), (auditId) =>
        rawRefusal({ code, message, auditId }, id)
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
})
