import { type Bucket, type BucketRate, take, tokensOf } from "./TokenBucket.ts"

export interface FailureRates {
  readonly perAddress: BucketRate
  readonly inAll: BucketRate
}

/** Networks with a bucket of their own; the others share one. */
export const maximumBuckets = 10_000

/** How often full buckets, which say nothing, are removed to make room; in milliseconds. */
const sweepInterval = 1_000

/** One bucket for each network and one for all. A failure takes a token of both, or of neither. */
export const makeFailureBuckets = ({ inAll, perAddress }: FailureRates) => {
  const buckets = new Map<string, Bucket>()
  let shared: Bucket | undefined
  let total: Bucket | undefined
  let sweptAt = Number.NEGATIVE_INFINITY

  const sweep = (now: number): void => {
    if (Math.abs(now - sweptAt) < sweepInterval) return
    sweptAt = now
    for (const [network, bucket] of buckets) {
      if (tokensOf(perAddress, bucket, now) >= perAddress.burst) buckets.delete(network)
    }
  }

  return {
    /** Returns which rate a failure from this network exceeds now, in milliseconds; undefined where it is within both. */
    exceeded: (network: string, now: number): "address" | "total" | undefined => {
      const known = buckets.get(network)
      if (known === undefined && buckets.size >= maximumBuckets) sweep(now)
      const isOwn = known !== undefined || buckets.size < maximumBuckets
      const own = take(perAddress, isOwn ? known : shared, now)
      if (own === undefined) return "address"
      const all = take(inAll, total, now)
      if (all === undefined) return "total"
      total = all
      if (isOwn) buckets.set(network, own)
      else shared = own
      return undefined
    },
    size: () => buckets.size
  }
}
