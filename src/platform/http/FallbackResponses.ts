import * as HttpApi from "@effect/platform/HttpApi"
import { HttpApiDecodeError } from "@effect/platform/HttpApiError"
import type * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import type * as HttpApp from "@effect/platform/HttpApp"
import { RouteNotFound } from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { type ServiceName, titleOf } from "../../domain/Service.ts"
import { type ErrorAnswer, type ErrorFields, errorResponse, noFields } from "./ErrorResponse.ts"
import { requestId } from "./RequestContext.ts"
import type { RouteList, RouteTable } from "./RouteTable.ts"

/** Lists the routes of a contract, so that 405 can name the allowed methods. */
export const routesOf = <Id extends string, Groups extends HttpApiGroup.HttpApiGroup.Any, E, R>(
  api: HttpApi.HttpApi<Id, Groups, E, R>
): RouteList => {
  const routes = new Map<string, ReadonlyArray<string>>()
  HttpApi.reflect(api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint }) => {
      routes.set(endpoint.path, [...(routes.get(endpoint.path) ?? []), endpoint.method])
    }
  })
  return routes
}

/** Answers a request that the platform could not decode with our error body; the platform's own answer has another shape. */
export const answerDecodeErrors = <E, R>(app: HttpApp.Default<E, R>): HttpApp.Default<E, R> =>
  Effect.catchAll(app, (error) =>
    error instanceof HttpApiDecodeError
      ? Effect.map(HttpServerRequest.HttpServerRequest, (request) =>
          errorResponse({ status: 422, code: "invalid_request", message: error.message, requestId: requestId(request) })
        )
      : Effect.fail(error)
  )

/** Refuses another spelling of a path: the platform's router would serve it. */
export const refuseRespelt =
  (routes: RouteTable) =>
  <E, R>(app: HttpApp.Default<E, R>): HttpApp.Default<E | RouteNotFound, R> =>
    Effect.flatMap(
      HttpServerRequest.HttpServerRequest,
      (request): HttpApp.Default<E | RouteNotFound, R> =>
        routes(request.url) === undefined ? Effect.fail(new RouteNotFound({ request })) : app
    )

/** What another spelling of a path may have that a path of a contract has not. */
const respelt = /[A-Z%;#]|\/\/|.\/$|^[^/]/

/** Logs the cause of a defect, which is not sent, and returns the answer. */
export const answerDefect = (
  service: ServiceName,
  cause: Cause.Cause<unknown>,
  requestId: string,
  more: ErrorAnswer["more"]
): Effect.Effect<ErrorAnswer> =>
  Effect.logError("Request failed", cause).pipe(
    Effect.annotateLogs({ service, request_id: requestId }),
    Effect.as({
      status: 500,
      code: "internal_error",
      message: `${titleOf(service)} failed to answer; the cause is in its log under this request id`,
      requestId,
      more
    })
  )

/** Answers unknown paths and methods, and defects. */
export const answerUnhandled =
  (service: ServiceName, routes: RouteTable, fields: ErrorFields = noFields) =>
  <E, R>(app: HttpApp.Default<E, R>): HttpApp.Default<never, R> =>
    Effect.catchAllCause(app, (cause) => {
      // The client hung up or the server is stopping: the platform answers 499 or 503.
      if (Cause.isInterruptedOnly(cause)) return Effect.interrupt
      return Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
        const id = requestId(request)
        const error = Option.getOrUndefined(Cause.failureOption(cause))
        if (Predicate.isTagged(error, "RouteNotFound")) {
          const path = request.url.split("?", 1)[0] ?? ""
          const asked = `${request.method} ${path.slice(0, 200)}`
          const methods = routes(path)?.methods
          const refuse = (status: number, code: string, problem: string, headers: ErrorAnswer["headers"] = {}) => {
            const message = `${titleOf(service)} ${problem}`
            const more = fields(status, request.url)
            return Effect.succeed(errorResponse({ status, code, message, requestId: id, more, headers }))
          }
          if (methods === undefined) {
            const hint = respelt.test(request.url) ? "; each path has one spelling, as /openapi.json has it" : ""
            return refuse(404, "not_found", `has no ${asked}${hint}`)
          }
          // The platform reports no route for a path that it cannot decode, too.
          if (methods.includes(request.method)) {
            const problem = `cannot read the path of ${asked}: its names have to be percent-encoded UTF-8`
            return refuse(400, "unreadable_request", problem)
          }
          const allow = methods.join(", ")
          return refuse(405, "method_not_allowed", `has no ${asked}; the path takes ${allow}`, { allow })
        }
        return Effect.map(answerDefect(service, cause, id, fields(500, request.url)), errorResponse)
      })
    })
