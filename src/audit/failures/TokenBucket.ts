/** How fast a bucket fills, and how many tokens it holds. */
export interface BucketRate {
  readonly perSecond: number
  readonly burst: number
}

/** The tokens of a bucket at a time in milliseconds. */
export interface Bucket {
  readonly tokens: number
  readonly at: number
}

/** The tokens that a bucket holds now; a new bucket is full. A clock that stepped back adds none. */
export const tokensOf = ({ burst, perSecond }: BucketRate, bucket: Bucket | undefined, now: number): number =>
  bucket === undefined ? burst : Math.min(burst, bucket.tokens + (Math.max(0, now - bucket.at) / 1_000) * perSecond)

/** Takes one token. Returns undefined where there is none; the bucket stays as it is then. */
export const take = (rate: BucketRate, bucket: Bucket | undefined, now: number): Bucket | undefined => {
  const tokens = tokensOf(rate, bucket, now)
  return tokens < 1 ? undefined : { tokens: tokens - 1, at: now }
}
