import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"

/** Loaded when it is first asked for: most starts are never scraped. */
const libraries = Effect.promise(() =>
  Promise.all([
    import("@effect/opentelemetry/Metrics"),
    import("@effect/opentelemetry/Resource"),
    import("./MetricsLibraries.ts")
  ])
)

/** Renders the metrics of this process in Prometheus' text format, version 0.0.4. */
export const metricsPage = Effect.gen(function* () {
  const render = yield* Effect.cached(
    Effect.gen(function* () {
      const [Metrics, Resource, { prometheus }] = yield* libraries
      const producer = yield* Effect.provideService(Metrics.makeProducer, Resource.Resource, prometheus.emptyResource())
      const serializer = new prometheus.PrometheusSerializer("", false, undefined, true, true)
      return Effect.map(
        Effect.promise(() => producer.collect()),
        ({ resourceMetrics }) => serializer.serialize(resourceMetrics)
      )
    })
  )
  return Effect.map(Effect.flatten(render), (text) =>
    HttpServerResponse.text(text, {
      contentType: "text/plain; version=0.0.4; charset=utf-8",
      headers: { "cache-control": "no-store" }
    })
  )
})
