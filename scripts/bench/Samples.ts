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

/** Of a plain function, each call by itself; the first tenth warms up and does not count. */
export const sample = (times: number, run: () => void): Percentiles => {
  const samples = new Float64Array(times)
  for (let index = -Math.floor(times / 10); index < times; index++) {
    const start = process.hrtime.bigint()
    run()
    const took = Number(process.hrtime.bigint() - start)
    if (index >= 0) samples[index] = took
  }
  return percentiles(samples)
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
