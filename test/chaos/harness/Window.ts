import type { Exchange } from "./Load.ts"

/** Of the requests that were due within a span of time. Milliseconds. */
export interface Window {
  readonly requests: number
  readonly p50: number
  readonly p99: number
  readonly longest: number
  /** How many were answered with each status; "none" without an answer. */
  readonly byStatus: Readonly<Record<string, number>>
}

/** The value below which that share of them lies; 0 of nothing. */
export const percentile = (values: ReadonlyArray<number>, share: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

/** `from` and `to` are of `performance.now()`. */
export const windowOf = (exchanges: ReadonlyArray<Exchange>, from: number, to: number): Window => {
  const within = exchanges.filter(({ at }) => at >= from && at < to)
  const millis = within.flatMap(({ answer }) => answer?.millis ?? [])
  const byStatus: Record<string, number> = {}
  for (const { answer } of within) {
    const status = String(answer?.status ?? "none")
    byStatus[status] = (byStatus[status] ?? 0) + 1
  }
  return {
    requests: within.length,
    p50: percentile(millis, 0.5),
    p99: percentile(millis, 0.99),
    longest: percentile(millis, 1),
    byStatus
  }
}
