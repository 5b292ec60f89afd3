import * as Metrics from "@effect/opentelemetry/Metrics"
import * as Resource from "@effect/opentelemetry/Resource"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { PrometheusSerializer } from "@opentelemetry/exporter-prometheus"
import { emptyResource } from "@opentelemetry/resources"
import * as Effect from "effect/Effect"

/** Renders the metrics of this process in Prometheus' text format, version 0.0.4. HttpServer.ts loads this file when needed. */
export const metricsPage = Effect.gen(function* () {
  const producer = yield* Effect.provideService(Metrics.makeProducer, Resource.Resource, emptyResource())
  const serializer = new PrometheusSerializer("", false, undefined, true, true)
  const collect = Effect.promise(() => producer.collect())
  return Effect.map(collect, ({ resourceMetrics }) =>
    HttpServerResponse.text(serializer.serialize(resourceMetrics), {
      contentType: "text/plain; version=0.0.4; charset=utf-8",
      headers: { "cache-control": "no-store" }
    })
  )
})
