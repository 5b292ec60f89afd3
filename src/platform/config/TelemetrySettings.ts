import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Setting from "./Setting.ts"

/** https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and …/protocol/exporter/. */
export type TelemetrySettings = Setting.Value<typeof telemetrySettings>

export type Signal = "traces" | "metrics" | "logs"

export interface Sampler {
  /** Whether a trace that began elsewhere keeps the decision made there. */
  readonly parentBased: boolean
  /** Of the traces that begin here, or of all: 0 to 1. */
  readonly ratio: number
}

type Pairs = Readonly<Record<string, string>>

const none: Pairs = {}

/** `a=1,b=2`, values percent-encoded (W3C Baggage, which the specification refers to). */
const parsePairs = (given: string): Option.Option<Pairs> => {
  const pairs: Record<string, string> = {}
  for (const member of given.split(",").filter((part) => part.trim() !== "")) {
    const at = member.indexOf("=")
    if (at < 1) return Option.none()
    try {
      pairs[decodeURIComponent(member.slice(0, at).trim())] = decodeURIComponent(member.slice(at + 1).trim())
    } catch {
      return Option.none()
    }
  }
  return Option.some(pairs)
}

/** An HTTP URL; its path is kept, for `/v1/traces` and the like are appended to it. */
const parseEndpoint = (given: string): Option.Option<string> => {
  const url = URL.canParse(given) ? new URL(given) : undefined
  const isEndpoint =
    url !== undefined && /^https?:$/.test(url.protocol) && url.username + url.password + url.search + url.hash === ""
  return isEndpoint ? Option.some(url.href.replace(/\/+$/, "")) : Option.none()
}

/** Whether HTTP can carry the header: a mistake is refused at the start, not at the first export. */
const isHeader = ([name, value]: readonly [string, string]): boolean =>
  /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) && /^[\t\x20-\x7e\x80-\xff]*$/.test(value)

const parseHeaders = (given: string) =>
  Option.filter(parsePairs(given), (pairs) => Object.entries(pairs).every(isHeader))

const samplers = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio"
] as const

const ratioOf = (name: (typeof samplers)[number], argument: number): number =>
  name.endsWith("always_on") ? 1 : name.endsWith("always_off") ? 0 : argument

const milliseconds = (name: string, fallback: number) =>
  Setting.integer(
    name,
    { min: 10, max: 3_600_000 },
    { expected: "milliseconds from 10 to 3600000", example: String(fallback) }
  ).pipe(
    Setting.orDefault(fallback),
    Setting.map((millis) => Duration.millis(millis))
  )

const endpoint = (name: string, example: string) =>
  Setting.setting(
    name,
    // A refused value is not repeated: it may be refused because it holds a password.
    { expected: "an http or https URL without user, password and query", example, secret: true },
    parseEndpoint
  )

/** The signal's own endpoint is used as it is; its path is appended to the common one. */
const destination = (signal: Signal) => {
  const name = signal.toUpperCase()
  const path = `/v1/${signal}`
  return Setting.all({
    exporter: Setting.choice(`OTEL_${name}_EXPORTER`, ["otlp", "none"], "otlp").pipe(Setting.orDefault("otlp")),
    own: endpoint(`OTEL_EXPORTER_OTLP_${name}_ENDPOINT`, `http://127.0.0.1:4318${path}`),
    common: endpoint("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
  }).pipe(
    Setting.map(
      ({ common, exporter, own }): Option.Option<string> =>
        exporter === "none" ? Option.none() : Option.orElse(own, () => Option.map(common, (url) => url + path))
    )
  )
}

const pairs = { expected: "key=value pairs, separated by commas, values percent-encoded" }

export const telemetrySettings = Setting.all({
  /** Where each signal is sent, as OTLP over HTTP; None: nowhere. */
  destinations: Setting.all({
    traces: destination("traces"),
    metrics: destination("metrics"),
    logs: destination("logs")
  }),
  headers: Setting.setting(
    "OTEL_EXPORTER_OTLP_HEADERS",
    { ...pairs, example: "api-key=secret", secret: true },
    parseHeaders
  ).pipe(
    Setting.orDefault(none),
    Setting.map((pairs) => Redacted.make(pairs))
  ),
  protocol: Setting.choice("OTEL_EXPORTER_OTLP_PROTOCOL", ["http/json", "http/protobuf"], "http/protobuf").pipe(
    Setting.orDefault("http/json")
  ),
  /** Of one export. */
  timeout: milliseconds("OTEL_EXPORTER_OTLP_TIMEOUT", 10_000),
  disabled: Setting.flag("OTEL_SDK_DISABLED", "true"),
  name: Setting.text("OTEL_SERVICE_NAME", { expected: "a name", example: "gravitas" }),
  resourceAttributes: Setting.setting(
    "OTEL_RESOURCE_ATTRIBUTES",
    { ...pairs, example: "deployment.environment.name=staging" },
    parsePairs
  ).pipe(Setting.orDefault(none)),
  sampler: Setting.choice("OTEL_TRACES_SAMPLER", samplers, "parentbased_traceidratio").pipe(
    Setting.orDefault("parentbased_always_on")
  ),
  ratio: Setting.setting("OTEL_TRACES_SAMPLER_ARG", { expected: "a share from 0 to 1", example: "0.1" }, (given) =>
    Option.filter(Option.some(Number(given)), (share) => share >= 0 && share <= 1)
  ).pipe(Setting.orDefault(1)),
  metricInterval: milliseconds("OTEL_METRIC_EXPORT_INTERVAL", 60_000)
}).pipe(
  Setting.map(({ name, ratio, sampler, ...rest }) => ({
    ...rest,
    serviceName: Option.getOrElse(name, () => rest.resourceAttributes["service.name"] ?? "gravitas"),
    sampler: { parentBased: sampler.startsWith("parentbased"), ratio: ratioOf(sampler, ratio) } satisfies Sampler
  }))
)
