import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import type { ServiceName } from "../../domain/Service.ts"

const requests = Metric.counter("http_server_requests", {
  description: "Requests that were answered, by route and status",
  incremental: true
})

/** From a tenth of a millisecond, which a decision takes, to the ten seconds of a model that thinks. */
const duration = Metric.histogram(
  "http_server_request_duration_seconds",
  MetricBoundaries.fromIterable([0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]),
  "From the first byte of a request's head to the last of its answer, by route"
)

const inFlight = Metric.gauge("http_server_requests_in_flight", { description: "Requests that wait for their answer" })

const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])

type Update = Pick<Metric.Metric<unknown, number, unknown>, "unsafeUpdate">

export interface HttpMetrics {
  readonly began: () => void
  /** `route` is a path of the contract, undefined for any other; `status` 499 when the client left before its answer. */
  readonly ended: (method: string, route: string | undefined, status: number, seconds: number) => void
}

/** A metric is found once for each route and status, so that a request costs it two additions. */
export const httpMetrics = (service: ServiceName): HttpMetrics => {
  const label = <Type, In, Out>(metric: Metric.Metric<Type, In, Out>) => Metric.tagged(metric, "service", service)
  const current = label(inFlight)
  let waiting = 0
  const counters = new Map<string, Update>()
  const histograms = new Map<string, Update>()
  const counter = (method: string, route: string, status: number) => {
    const key = `${method} ${route} ${status}`
    const known = counters.get(key)
    if (known !== undefined) return known
    const made = label(requests).pipe(
      Metric.tagged("method", method),
      Metric.tagged("route", route),
      Metric.tagged("status", String(status))
    )
    counters.set(key, made)
    return made
  }
  const histogram = (route: string) => {
    const known = histograms.get(route)
    if (known !== undefined) return known
    const made = Metric.tagged(label(duration), "route", route)
    histograms.set(route, made)
    return made
  }
  return {
    began: () => {
      waiting += 1
      current.unsafeUpdate(waiting, [])
    },
    ended: (method, route = "unknown", status, seconds) => {
      waiting -= 1
      current.unsafeUpdate(waiting, [])
      counter(methods.has(method) ? method : "other", route, status).unsafeUpdate(1, [])
      histogram(route).unsafeUpdate(seconds, [])
    }
  }
}
