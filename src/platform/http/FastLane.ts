import type { IncomingMessage, ServerResponse } from "node:http"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import { identity } from "effect/Function"
import * as Runtime from "effect/Runtime"
import type { ServiceName } from "../../domain/Service.ts"
import { type ErrorFields, errorJson, type JsonResponse, toServerResponse } from "./ErrorResponse.ts"
import { answerDefect } from "./FallbackResponses.ts"
import { HandledRequest, type RequestSource, requestId, requestIdOf } from "./RequestContext.ts"
import { type JsonBody, maximumBodyBytes, readJson, readJsonBody } from "./RequestDecoding.ts"
import { inServerSpan } from "./ServerSpan.ts"

/** A `POST` with a JSON body, as far as an operation depends on it. */
export interface JsonRequest {
  readonly requestId: string
  /** The value of the `Authorization` header. */
  readonly authorization: string | undefined
  readonly contentType: string | undefined
  readonly body: JsonBody
  /** A service of this process asks, with a token that may be used by it. */
  readonly isLocal?: boolean
}

/**
 * An operation that needs nothing of a request but its JSON body and token. Three ways lead to it: a route of the platform's router
 * (the slow lane), which takes a query and records a span; a plain handler of `node:http` (the fast lane), which
 * takes much less processor time (docs/performance.md); and a call in one process (LocalCalls.ts). Tests compare their answers and rows.
 */
export interface JsonOperation {
  (request: JsonRequest): Effect.Effect<JsonResponse>
  /**
   * Answers without a fiber, which takes a fifth of the processor time of a decision. Returns undefined where the operation has to wait
   * for something; nothing has happened then, and the operation itself answers.
   */
  readonly atOnce?: (request: JsonRequest, source: RequestSource) => JsonResponse | undefined
}

const jsonRequest = ({ headers }: RequestSource, body: JsonBody): JsonRequest => ({
  requestId: requestIdOf(headers),
  authorization: headers.authorization,
  contentType: headers["content-type"],
  body
})

/** The slow lane of an operation. */
export const answerJson =
  (operation: JsonOperation) =>
  (request: HttpServerRequest.HttpServerRequest): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
    Effect.either(readJson(request)).pipe(
      Effect.flatMap((body) =>
        operation({
          requestId: requestId(request),
          authorization: request.headers["authorization"],
          contentType: request.headers["content-type"],
          body
        })
      ),
      Effect.map(toServerResponse)
    )

/** Operations by their exact path. */
export type OperationsByPath = ReadonlyMap<string, JsonOperation>

/** Handles the request and returns true, or returns false where it must take the slow lane. */
export type FastLane = (request: IncomingMessage, response: ServerResponse) => boolean

const send = (response: ServerResponse, { headers, status, text }: JsonResponse): void => {
  if (response.destroyed) return
  response.writeHead(status, headers)
  response.end(text)
}

/** As @effect/platform answers an operation that was interrupted while its client waits. */
const interrupted: JsonResponse = { status: 503, headers: {}, text: "" }

/** Makes the function that runs an operation on a fiber of the service, in a span if traced. It answers a defect, not an interruption. */
export const makeFork = (service: ServiceName, errorFields: ErrorFields) =>
  Effect.map(
    Effect.all([Effect.runtime<never>(), FiberRef.get(FiberRef.currentTracerEnabled)]),
    ([{ fiberRefs, runtimeFlags }, isTraced]) =>
      (
        operation: JsonOperation,
        path: string,
        source: RequestSource,
        body: JsonBody,
        deliver: (answer: JsonResponse) => JsonResponse = identity
      ) => {
        const { headers } = source
        const request = jsonRequest(source, body)
        const { requestId } = request
        const answer = Effect.uninterruptibleMask((restore) =>
          restore(Effect.suspend(() => operation(request))).pipe(
            Effect.map(deliver),
            // Runs where the operation was interrupted too: a defect of its finalizers is logged.
            Effect.catchAllCause((cause) =>
              Cause.isInterruptedOnly(cause)
                ? Effect.interrupt
                : Effect.map(answerDefect(service, cause, requestId, errorFields(500, path)), (answer) =>
                    deliver(errorJson(answer))
                  )
            )
          )
        )
        const spanned = isTraced
          ? inServerSpan({ service, method: "POST", route: path, requestId, headers })(answer)
          : answer
        const context = Context.make(HandledRequest, source)
        return Runtime.runFork(Runtime.make({ context, fiberRefs, runtimeFlags }))(spanned)
      }
  )

/** The fast lane takes a `POST` of exactly one of `routes`, without a query. */
export const makeFastLane = (
  service: ServiceName,
  routes: OperationsByPath,
  errorFields: ErrorFields
): Effect.Effect<FastLane> =>
  Effect.map(makeFork(service, errorFields), (fork) => {
    const answerOnFiber = (
      operation: JsonOperation,
      request: IncomingMessage,
      response: ServerResponse,
      body: JsonBody
    ) => {
      const fiber = fork(operation, request.url ?? "", request, body, (answer) => {
        send(response, answer)
        return answer
      })
      fiber.addObserver((exit) => {
        if (Exit.isFailure(exit)) send(response, interrupted)
      })
      if (fiber.unsafePoll() !== null) return
      response.once("close", () => {
        if (!response.writableEnded) fiber.unsafeInterruptAsFork(FiberId.none)
      })
    }
    const answer = (operation: JsonOperation, request: IncomingMessage, response: ServerResponse, body: JsonBody) => {
      try {
        const answer = operation.atOnce?.(jsonRequest(request, body), request)
        if (answer === undefined) answerOnFiber(operation, request, response, body)
        else send(response, answer)
      } catch (defect) {
        answerOnFiber(() => Effect.die(defect), request, response, body)
      }
    }
    return (request, response) => {
      const operation = request.method === "POST" ? routes.get(request.url ?? "") : undefined
      if (operation === undefined) return false
      readJsonBody(request, maximumBodyBytes, (body) => answer(operation, request, response, body))
      return true
    }
  })
