import { randomUUID } from "node:crypto"
import { hostname } from "node:os"
import * as OtlpLogger from "@effect/opentelemetry/OtlpLogger"
import * as OtlpMetrics from "@effect/opentelemetry/OtlpMetrics"
import * as OtlpSerialization from "@effect/opentelemetry/OtlpSerialization"
import * as OtlpTracer from "@effect/opentelemetry/OtlpTracer"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Tracer from "effect/Tracer"
import { appVersion } from "../config/ProgramLocation.ts"
import { Settings, shutdownShares } from "../config/Settings.ts"
import type { Sampler, Signal, TelemetrySettings } from "../config/TelemetrySettings.ts"
import * as Logging from "./Logging.ts"

/** Digits of the trace id that decide, and how many values they have. */
const decidingDigits = 8
const values = 16 ** decidingDigits

/**
 * Whether a trace is recorded: by the last digits of its id, so that every process with the same ratio decides alike (the
 * specification's TraceIdRatioBased). With a parent-based sampler, a trace that began elsewhere keeps its decision.
 */
const isSampled = (
  sampler: Sampler,
  traceId: string,
  remoteParent: Pick<Tracer.ExternalSpan, "sampled"> | undefined
): boolean =>
  sampler.parentBased && remoteParent !== undefined
    ? remoteParent.sampled
    : Number.parseInt(traceId.slice(-decidingDigits), 16) < sampler.ratio * values

/** Continues the trace without being exported. */
const unrecorded = (span: Tracer.Span): Tracer.Span => ({
  ...span,
  _tag: "Span",
  sampled: false,
  end: () => {},
  attribute: () => {},
  event: () => {},
  addLinks: () => {}
})

/**
 * A tracer that exports what the sampler selects; every span of a trace in this process follows the first. Traces begin with a
 * request: the work between requests would be a trace of one span a second.
 */
const sampling = (sampler: Sampler, recording: Tracer.Tracer): Tracer.Tracer =>
  Tracer.make({
    context: recording.context,
    span: (name, parent, context, links, startTime, kind, options) => {
      const above = Option.getOrUndefined(parent)
      if (above?._tag === "Span" && !above.sampled) return { ...above, name, parent, kind }
      const span = recording.span(name, parent, context, links, startTime, kind, options)
      if (above?._tag === "Span") return span
      return kind === "server" && isSampled(sampler, span.traceId, above) ? span : unrecorded(span)
    }
  })

/** Exports at a time. Further ones are dropped: they would fill the memory while the receiver hangs. */
const maximumInFlight = 4

/** Spans or lines of one batch; a full batch is sent at once. */
const maximumBatch = 1_000

/** Sends within `timeout`; logs once when that fails, and once when it works again. */
const bounded = (timeout: Duration.Duration) =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, (client) => {
      let inFlight = 0
      let failing = false
      const logChange = ({ url }: HttpClientRequest.HttpClientRequest, fails: boolean) => {
        if (fails === failing) return Effect.void
        failing = fails
        return fails
          ? Effect.logWarning(
              `Telemetry cannot be sent to ${url}; what is not sent is dropped. Requests are not held up.`
            )
          : Effect.logInfo(`Telemetry is sent to ${url} again.`)
      }
      const send = (request: HttpClientRequest.HttpClientRequest) =>
        Effect.suspend(() => {
          const failure = (description: string) =>
            new HttpClientError.RequestError({ request, reason: "Transport", description })
          if (inFlight >= maximumInFlight)
            return Effect.zipRight(logChange(request, true), Effect.fail(failure("too many exports wait")))
          inFlight += 1
          return client.execute(request).pipe(
            // Read to its end, so that the connection is reused.
            Effect.tap((response) => Effect.ignore(response.arrayBuffer)),
            Effect.timeoutFail({ duration: timeout, onTimeout: () => failure("no answer in time") }),
            Effect.tap((response) => logChange(request, response.status >= 400)),
            Effect.tapError(() => logChange(request, true)),
            Effect.ensuring(
              Effect.sync(() => {
                inFlight -= 1
              })
            )
          )
        })
      return HttpClient.make((request) => send(request))
    })
  )

const layers = (telemetry: TelemetrySettings, shutdownTimeout: Duration.Duration) => {
  const common = {
    headers: Redacted.value(telemetry.headers),
    resource: {
      serviceName: telemetry.serviceName,
      serviceVersion: telemetry.resourceAttributes["service.version"] ?? appVersion,
      // Two processes of one service would otherwise send the same series.
      attributes: { "service.instance.id": randomUUID(), "host.name": hostname(), ...telemetry.resourceAttributes }
    },
    maxBatchSize: maximumBatch,
    shutdownTimeout
  }
  const where = <E, R>(signal: Signal, to: (url: string) => Layer.Layer<never, E, R>) =>
    Option.match(telemetry.destinations[signal], { onNone: () => Layer.empty, onSome: to })
  const traces = where("traces", (url) =>
    Layer.unwrapScoped(
      Effect.map(OtlpTracer.make({ ...common, url }), (tracer) => Layer.setTracer(sampling(telemetry.sampler, tracer)))
    )
  )
  const metrics = where("metrics", (url) =>
    OtlpMetrics.layer({ ...common, url, exportInterval: telemetry.metricInterval })
  )
  const logs = where("logs", (url) =>
    Logger.addScoped(Effect.map(OtlpLogger.make({ ...common, url }), Logging.prepared))
  )
  return Layer.mergeAll(traces, metrics, logs).pipe(
    Layer.provide(bounded(telemetry.timeout).pipe(Layer.provide(NodeHttpClient.layerUndici))),
    Layer.provide(telemetry.protocol === "http/json" ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf)
  )
}

export const exporting = Layer.unwrapEffect(
  Effect.map(Settings, ({ shutdownDeadline, telemetry }) =>
    // The three exporters end one after the other.
    layers(telemetry, Duration.times(shutdownDeadline, shutdownShares.telemetry / 3))
  )
)
