/** The memory of a process after so many streams, in bytes. */
export interface MemorySample {
  readonly streams: number
  /** Reachable, after a collection. */
  readonly heapUsed: number
  readonly rss: number
}

/**
 * Bytes a stream that count as flat. What a stream leaves behind is a kilobyte at least: its messages, its session, its nine events.
 * The resident set also moves with the allocator's pages, by some megabytes.
 */
export const flatBounds = { heapUsed: 256, rss: 4_096 } as const

/** The slope of the line with the least squares. */
export const slopeOf = (points: ReadonlyArray<readonly [x: number, y: number]>): number => {
  const mean = (at: 0 | 1): number => points.reduce((sum, point) => sum + point[at], 0) / points.length
  const [x, y] = [mean(0), mean(1)]
  const [above, below] = points.reduce(
    ([sum, squares], point) => [sum + (point[0] - x) * (point[1] - y), squares + (point[0] - x) ** 2],
    [0, 0]
  )
  return above / below
}

/** Growth in bytes a stream over the second half, where caches and pools are full, and whether both are within their bounds. */
export const trendOf = (samples: ReadonlyArray<MemorySample>) => {
  const half = (samples.at(-1)?.streams ?? 0) / 2
  const later = samples.filter(({ streams }) => streams >= half)
  const growth = (of: "heapUsed" | "rss") => slopeOf(later.map((sample) => [sample.streams, sample[of]]))
  const perStream = { heapUsed: growth("heapUsed"), rss: growth("rss") }
  return {
    perStream,
    isFlat: perStream.heapUsed <= flatBounds.heapUsed && perStream.rss <= flatBounds.rss
  }
}
