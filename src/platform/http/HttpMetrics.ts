import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import type * as MetricKeyType from "effect/MetricKeyType"
import * as MetricLabel from "effect/MetricLabel"
import type { ServiceName } from "../../domain/Service.ts"

type Labels = Readonly<Record<string, string>>

/** Puts the labels into the key. `Metric.tagged` looks them up at every update: 4 % of all work under load (measured). */
const tagged = <T extends MetricKeyType.MetricKeyType.Untyped>(key: MetricKey.MetricKey<T>, labels: Labels) =>
  Metric.fromMetricKey(
    MetricKey.taggedWithLabels(
      key,
      Object.entries(labels).map(([name, value]) => MetricLabel.make(name, value))
    )
  )

const requests = MetricKey.counter("http_server_requests", {
  description: "Requests that were answered, by route and status",
  incremental: true
})

/** From half a millisecond, for a decision, to ten seconds, for the answer of a model. */
const boundaries = MetricBoundaries.fromIterable([
  0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10
])

const duration = MetricKey.histogram(
  "http_server_request_duration_seconds",
  boundaries,
  "From the end of a request's head to the end of its answer, by route"
)

const inFlight = MetricKey.gauge("http_server_requests_in_flight", {
  description: "Requests that wait for their answer"
})

const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])

export interface HttpMetrics {
  readonly began: () => void
  /** `route` is a path of the contract, undefined for any other; `status` is 499 if the client left before its answer. */
  readonly ended: (method: string, route: string | undefined, status: number, seconds: number) => void
}

const madeOnce = <A>(made: Map<string, A>, key: string, make: () => A): A => {
  const value = made.get(key) ?? make()
  made.set(key, value)
  return value
}

/** Looks a metric up once for each route and status, so that a request costs two additions. */
export const httpMetrics = (service: ServiceName): HttpMetrics => {
  const current = tagged(inFlight, { service })
  let waiting = 0
  const counters = new Map<string, Metric.Metric.Counter<number>>()
  const histograms = new Map<string, Metric.Metric.Histogram<number>>()
  return {
    began: () => {
      waiting += 1
      current.unsafeUpdate(waiting, [])
    },
    ended: (given, route = "unknown", status, seconds) => {
      waiting -= 1
      current.unsafeUpdate(waiting, [])
      const method = methods.has(given) ? given : "other"
      const make = () => tagged(requests, { service, method, route, status: String(status) })
      madeOnce(counters, `${method} ${route} ${status}`, make).unsafeUpdate(1, [])
      madeOnce(histograms, route, () => tagged(duration, { service, route })).unsafeUpdate(seconds, [])
    }
  }
}
