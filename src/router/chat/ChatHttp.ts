import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { Stops } from "../../clients/Stops.ts"
import { jsonResponse, refusalResponse, toServerResponse } from "../../platform/http/ErrorResponse.ts"
import { disconnectReason, requestId } from "../../platform/http/RequestContext.ts"
import { readJsonAndText } from "../../platform/http/RequestDecoding.ts"
import { timerMillis } from "../../platform/os/Deadline.ts"
import type { Catalog, Timeouts } from "../models/Catalog.ts"
import { parseChatRequest } from "../protocol/ChatRequest.ts"
import { Providers } from "../providers/Providers.ts"
import {
  appendOutput,
  type ChatRequestContext,
  makeChatRequestContext,
  recordRouteEvent
} from "../route/ChatRequestContext.ts"
import { openRoute } from "../route/Route.ts"
import { identifyCaller, type RefusalFields, refusalOfTrail, routeRefused } from "../route/RouteRefused.ts"
import { choose, type NoRoute } from "../route/Routing.ts"
import { streamedAnswer, waitingAnswer, wholeBody } from "./AnswerBody.ts"
import { AnswerWatch } from "./AnswerWatch.ts"
import { finalize, InFlight, recordOutcome } from "./ChatCompletionFinalizer.ts"
import { orWaiting } from "./KeepAlive.ts"

/** Later than the provider's own deadline, so that only a slow client can miss it. */
const readingTimeout = ({ total }: Timeouts): Duration.Duration => Duration.sum(Duration.times(total, 1.1), "1 second")

/**
 * Closes the connection of a client that does not read its answer in time, until the request's scope ends; also when the answer must
 * end, unless its outcome is recorded already. The provider's deadlines do not run while the client does not pull, so nothing else would
 * free the provider's connection and the session.
 */
const closeInTime = (
  context: ChatRequestContext,
  request: HttpServerRequest.HttpServerRequest,
  timeouts: Timeouts
): Effect.Effect<void, never, Scope.Scope> => {
  const close = (reason: NonNullable<ChatRequestContext["disconnect"]>) => {
    context.disconnect = reason
    NodeHttpServerRequest.toServerResponse(request).destroy()
  }
  return Effect.suspend(() => {
    const timer = setTimeout(() => close("unread"), timerMillis(readingTimeout(timeouts)))
    const stop = context.over.listen(({ closedBy }) => {
      if (context.outcome === undefined) close(closedBy)
    })
    return Effect.addFinalizer(() =>
      Effect.sync(() => {
        clearTimeout(timer)
        stop()
      })
    )
  })
}

const refusalOfNoRoute = (route: NoRoute): RefusalFields => {
  switch (route._tag) {
    case "UnknownModel": {
      const reason = `there is no model ${JSON.stringify(route.model)}; GET /v1/models lists them`
      return { code: "model_not_found", param: "model", reason }
    }
    case "EmptyTier": {
      const reason = `${JSON.stringify(route.model)} has no shell of tier ${route.tier}; GET /v1/models lists them`
      return { code: "model_not_found", param: "model", reason }
    }
    case "OtherTier": {
      const reason = `${JSON.stringify(route.model)} is of tier ${route.tier}, and "force_tier" asks for ${route.forced}`
      return { code: "invalid_request", param: "force_tier", reason }
    }
  }
}

/** Refuses and records a request that cannot be routed. The caller is identified first, so that strangers learn nothing. */
const refuseUnroutable = (context: ChatRequestContext, model: string, fields: RefusalFields) =>
  Effect.gen(function* () {
    yield* identifyCaller(context, model)
    const auditId = yield* recordRouteEvent(context, {
      action: "route",
      result: "INVALID",
      reason: fields.reason,
      facts: { code: fields.code, asked: model }
    }).pipe(Effect.mapError(refusalOfTrail))
    return yield* routeRefused({ ...fields, auditId })
  })

/** What is the same for all requests. */
export interface ChatOptions extends Pick<ChatRequestContext, "storeContent"> {
  /** Bytes of a body. */
  readonly maximumBodyBytes: number
  readonly maximumMessages: number
  /** After so long without content a streamed answer begins with comments. */
  readonly keepAlive: Duration.Duration
}

type ChatRoute = Effect.Effect.Success<ReturnType<typeof openRoute>>

const frameOf = ({ request, requestId, startedAtMillis }: ChatRequestContext, { shell }: ChatRoute) => ({
  requestId,
  model: shell.name,
  createdSeconds: Math.floor(startedAtMillis / 1_000),
  includeUsage: request?.includeUsage ?? false
})

/** Watches the client of an answer that a shell has begun. */
const watchClient = (context: ChatRequestContext, request: HttpServerRequest.HttpServerRequest, { shell }: ChatRoute) =>
  Effect.flatMap(Providers, (providers) => closeInTime(context, request, providers.get(shell).spec.timeouts))

const wholeResponse = (context: ChatRequestContext, request: HttpServerRequest.HttpServerRequest, routed: ChatRoute) =>
  Effect.gen(function* () {
    yield* watchClient(context, request, routed)
    // A request without `stream` has such an answer.
    if (routed.answer._tag !== "Whole") return yield* Effect.dieMessage("the answer is a stream")
    appendOutput(context, routed.answer.part)
    yield* recordOutcome(context, "completed", "the answer is whole").pipe(Effect.mapError(refusalOfTrail))
    const headers = { "x-audit-id": routed.auditId, "cache-control": "no-store" }
    return toServerResponse(jsonResponse(wholeBody(frameOf(context, routed), routed.answer.part), { headers }))
  })

/** The bytes of a streamed answer. */
const eventsOf = (context: ChatRequestContext, request: HttpServerRequest.HttpServerRequest, routed: ChatRoute) =>
  Effect.gen(function* () {
    yield* watchClient(context, request, routed)
    if (routed.answer._tag !== "Streamed") return yield* Effect.dieMessage("the answer is not a stream")
    return yield* streamedAnswer(context, frameOf(context, routed), routed.answer)
  })

const eventResponse = (bytes: Stream.Stream<Uint8Array>, auditId?: string) =>
  HttpServerResponse.stream(bytes, {
    contentType: "text/event-stream; charset=utf-8",
    headers: {
      "cache-control": "no-store",
      // nginx would collect the events of an answer.
      "x-accel-buffering": "no",
      ...(auditId === undefined ? {} : { "x-audit-id": auditId })
    }
  })

const answer = Effect.fnUntraced(function* (
  catalog: Catalog,
  { keepAlive, maximumBodyBytes, maximumMessages }: ChatOptions,
  context: ChatRequestContext,
  request: HttpServerRequest.HttpServerRequest
) {
  const body = yield* Effect.either(readJsonAndText(request, maximumBodyBytes))
  if (Either.isLeft(body)) {
    const { code, reason } = body.left
    return yield* refuseUnroutable(context, "", { code, reason })
  }
  const parsed = parseChatRequest(body.right.value, { text: body.right.text, maximumMessages })
  if (Either.isLeft(parsed)) {
    const { model, param, problem } = parsed.left
    return yield* refuseUnroutable(context, model ?? "", { code: "invalid_request", param, reason: problem })
  }
  const chat = parsed.right
  context.request = chat
  const candidates = choose(catalog, chat)
  if (Either.isLeft(candidates)) {
    return yield* refuseUnroutable(context, chat.model, refusalOfNoRoute(candidates.left))
  }
  const ghost = catalog.ghosts.get(chat.model)
  const route = openRoute(context, chat, candidates.right, { fallsBackOnRefusal: ghost?.fallsBackOnRefusal ?? false })
  if (!chat.stream) return yield* wholeResponse(context, request, yield* route)
  const opened = yield* orWaiting(keepAlive)(route)
  if (opened._tag === "Done")
    return eventResponse(yield* eventsOf(context, request, opened.value), opened.value.auditId)
  const scope = yield* Effect.scope
  const rest = Effect.flatMap(opened.rest, (routed) => Scope.extend(eventsOf(context, request, routed), scope))
  return eventResponse(yield* waitingAnswer(context, opened.waiting, rest))
})

/** A raw handler: the outcome of a stream is recorded after its last byte, and one request may be decided for several shells. */
export const answerChat = (catalog: Catalog, options: ChatOptions) =>
  Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
    const inFlight = yield* InFlight
    const watch = yield* AnswerWatch
    const stops = yield* Stops
    const context = makeChatRequestContext({
      requestId: requestId(request),
      authorization: request.headers["authorization"],
      startedAtMillis: yield* Clock.currentTimeMillis,
      storeContent: options.storeContent,
      policyVersion: stops.policyVersion()
    })
    // The request's scope ends after the last byte of the answer, or when the client has hung up.
    yield* Effect.acquireRelease(Effect.zipRight(inFlight.begin, watch.watch(context)), () =>
      Effect.suspend(() => {
        context.disconnect ??= disconnectReason(request)
        return Effect.zipRight(watch.unwatch(context), finalize(context))
      })
    )
    return yield* answer(catalog, options, context, request).pipe(
      Effect.catchTag("Refusal", (refusal) =>
        Effect.sync(() => {
          context.outcome = "refused"
          return refusalResponse(refusal, context.requestId)
        })
      ),
      Effect.tapDefect(() => Effect.ignore(recordOutcome(context, "failed", "the router failed; its log says why")))
    )
  })
