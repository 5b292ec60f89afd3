/** Latencies in microseconds. */
export interface Percentiles {
  readonly p50: number
  readonly p99: number
  readonly p999: number
}

const rounded = (value: number): number => Math.round(value * 100) / 100

export const percentiles = (nanoseconds: Float64Array): Percentiles => {
  const sorted = nanoseconds.toSorted()
  const at = (share: number): number => rounded((sorted[Math.floor(sorted.length * share)] ?? 0) / 1_000)
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999) }
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** Median of the ratios of each round: both sides of one ran one after the other, so the machine's mood was the same for both. */
export const medianRatio = (above: ReadonlyArray<number>, below: ReadonlyArray<number>): number =>
  median(above.map((value, round) => value / (below[round] ?? Number.NaN)))

/** Of rounds with many samples each: a round that the machine disturbed does not decide. */
export const medianPercentiles = (rounds: ReadonlyArray<Percentiles>): Percentiles => ({
  p50: median(rounds.map(({ p50 }) => p50)),
  p99: median(rounds.map(({ p99 }) => p99)),
  p999: median(rounds.map(({ p999 }) => p999))
})

/** Of rounds with few samples each, which only together have a tail. */
export const pooledPercentiles = (rounds: ReadonlyArray<Float64Array>): Percentiles =>
  percentiles(Float64Array.from(rounds.flatMap((samples) => [...samples])))
