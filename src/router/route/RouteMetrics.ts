import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import * as MetricLabel from "effect/MetricLabel"
import type { Shell } from "../models/Catalog.ts"
import type { FailureKind } from "../providers/Provider.ts"
import type { TokenCount } from "./TokenCount.ts"

const tokens = MetricKey.counter("router_tokens", {
  description:
    "Tokens of answers, by shell: asked (prompt) and answered (completion), counted by the provider or estimated",
  incremental: true
})

const calls = MetricKey.counter("router_provider_calls", {
  description:
    "Calls of providers, by shell and outcome: answered, abandoned (the client left, or it was stopped), or the kind of the failure",
  incremental: true
})

/** From a local model's first word to a minute of thought. */
const boundaries = MetricBoundaries.fromIterable([0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120])

const beginning = MetricKey.histogram(
  "router_provider_first_content_seconds",
  boundaries,
  "From the call of a provider to the first content of its answer, or to the whole of an answer that is not streamed"
)

type Labels = Readonly<Record<string, string>>

const labelsOf = (labels: Labels) => Object.entries(labels).map(([name, value]) => MetricLabel.make(name, value))

/** The metrics of one shell. */
interface ShellMetrics {
  readonly called: (outcome: "answered" | "abandoned" | FailureKind) => void
  readonly began: (seconds: number) => void
  readonly counted: (count: TokenCount) => void
}

const makeShellMetrics = ({ name: shell, provider }: Shell): ShellMetrics => {
  const counters = new Map<string, Metric.Metric.Counter<number>>()
  const add = (key: typeof tokens, labels: Labels, by: number) => {
    const place = `${key.name} ${Object.values(labels).join(" ")}`
    const counter =
      counters.get(place) ??
      Metric.fromMetricKey(MetricKey.taggedWithLabels(key, labelsOf({ provider, shell, ...labels })))
    counters.set(place, counter)
    counter.unsafeUpdate(by, [])
  }
  const histogram = Metric.fromMetricKey(MetricKey.taggedWithLabels(beginning, labelsOf({ provider, shell })))
  return {
    called: (outcome) => add(calls, { outcome }, 1),
    began: (seconds) => histogram.unsafeUpdate(seconds, []),
    counted: ({ completionTokens, isEstimated, promptTokens }) => {
      const estimated = String(isEstimated)
      add(tokens, { kind: "prompt", estimated }, promptTokens)
      add(tokens, { kind: "completion", estimated }, completionTokens)
    }
  }
}

const made = new Map<string, ShellMetrics>()

/** Looks the metrics of a shell up once. The shells are those of models.yaml, so their number is bounded. */
export const shellMetrics = (shell: Shell): ShellMetrics => {
  const key = JSON.stringify([shell.provider, shell.name])
  const known = made.get(key) ?? makeShellMetrics(shell)
  made.set(key, known)
  return known
}
