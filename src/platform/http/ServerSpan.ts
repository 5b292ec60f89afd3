import type { IncomingMessage } from "node:http"
import * as Effect from "effect/Effect"
import * as Tracer from "effect/Tracer"
import type { ServiceName } from "../../domain/Service.ts"
import { parseTraceparent, traceparentOf } from "./RequestContext.ts"

interface ServerSpanOptions {
  readonly service: ServiceName
  readonly method: string
  /** A path of the contract; undefined for any other. */
  readonly route: string | undefined
  readonly requestId: string
  readonly headers: IncomingMessage["headers"]
}

/**
 * Answers a request in a span of its own, in the trace that the client named. It has fewer attributes than the platform's own, which
 * records every header. The span replaces the request's `traceparent`, so that rows, logs and calls name the same trace.
 */
export const inServerSpan =
  ({ headers, method, requestId, route, service }: ServerSpanOptions) =>
  <A extends { readonly status: number }, E, R>(answer: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
    const given = typeof headers["traceparent"] === "string" ? parseTraceparent(headers["traceparent"]) : undefined
    const options: Tracer.SpanOptions = {
      kind: "server",
      captureStackTrace: false,
      attributes: {
        "http.request.method": method,
        "gravitas.service": service,
        "gravitas.request_id": requestId,
        ...(route === undefined ? {} : { "http.route": route })
      },
      ...(given === undefined
        ? { root: true }
        : { parent: Tracer.externalSpan({ traceId: given.traceId, spanId: given.parentId, sampled: given.sampled }) })
    }
    return Effect.useSpan(route === undefined ? method : `${method} ${route}`, options, (span) => {
      headers["traceparent"] = traceparentOf({ traceId: span.traceId, parentId: span.spanId, sampled: span.sampled })
      return Effect.tap(Effect.withParentSpan(answer, span), ({ status }) =>
        Effect.sync(() => span.attribute("http.response.status_code", status))
      )
    })
  }
