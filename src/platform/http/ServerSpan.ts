import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Effect from "effect/Effect"
import * as Tracer from "effect/Tracer"
import type { ServiceName } from "../../domain/Service.ts"
import { requestId } from "./RequestId.ts"
import type { RouteTable } from "./RouteTable.ts"
import { parseTraceparent, traceparentOf } from "./TraceContext.ts"

/**
 * Makes a span for each request, in the trace that the client named. It has fewer attributes than the platform's own, which
 * records every header. The span replaces the request's `traceparent`, so that rows, logs and calls name the same trace.
 */
export const withServerSpan =
  (service: ServiceName, routes: RouteTable) =>
  <E, R>(app: HttpApp.Default<E, R>): HttpApp.Default<E, R> =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const { headers } = NodeHttpServerRequest.toIncomingMessage(request)
      const given = typeof headers["traceparent"] === "string" ? parseTraceparent(headers["traceparent"]) : undefined
      const route = routes(request.url)?.path
      const options: Tracer.SpanOptions = {
        kind: "server",
        captureStackTrace: false,
        attributes: {
          "http.request.method": request.method,
          "gravitas.service": service,
          "gravitas.request_id": requestId(request),
          ...(route === undefined ? {} : { "http.route": route })
        },
        ...(given === undefined
          ? { root: true }
          : { parent: Tracer.externalSpan({ traceId: given.traceId, spanId: given.parentId, sampled: given.sampled }) })
      }
      return Effect.useSpan(route === undefined ? request.method : `${request.method} ${route}`, options, (span) => {
        headers["traceparent"] = traceparentOf({ traceId: span.traceId, parentId: span.spanId, sampled: span.sampled })
        return Effect.tap(Effect.withParentSpan(app, span), (response) =>
          Effect.sync(() => span.attribute("http.response.status_code", response.status))
        )
      })
    })
