import { describe, expect, it } from "vitest"
import { type Bucket, take, tokensOf } from "../../../src/audit/failures/TokenBucket.ts"

const rate = { perSecond: 10, burst: 50 }

const cases: ReadonlyArray<readonly [what: string, bucket: Bucket | undefined, now: number, next: Bucket | undefined]> =
  [
    ["a new bucket is full", undefined, 7, { tokens: 49, at: 7 }],
    ["the last token is taken", { tokens: 1, at: 0 }, 0, { tokens: 0, at: 0 }],
    ["an empty bucket has none", { tokens: 0, at: 0 }, 0, undefined],
    ["a part of a token cannot be taken", { tokens: 0.9, at: 0 }, 9, undefined],
    ["a tenth of a second is one token", { tokens: 0, at: 0 }, 100, { tokens: 0, at: 100 }],
    ["a second is ten", { tokens: 0, at: 1_000 }, 2_000, { tokens: 9, at: 2_000 }],
    [
      "a year fills the burst and adds nothing",
      { tokens: 0, at: 0 },
      31_536_000_000,
      { tokens: 49, at: 31_536_000_000 }
    ],
    ["a clock that stepped back adds none", { tokens: 2, at: 9_000 }, 1_000, { tokens: 1, at: 1_000 }],
    ["a clock that stepped back takes none", { tokens: 0, at: 9_000 }, 1_000, undefined]
  ]

describe("A token bucket", () => {
  it.each(cases)("%s", (_, bucket, now, next) => {
    expect(take(rate, bucket, now)).toEqual(next)
  })

  it("lets its burst and then its rate pass, however fast it is asked", () => {
    let bucket: Bucket | undefined
    let taken = 0
    for (let now = 0; now < 10_000; now++) {
      const next = take(rate, bucket, now)
      if (next === undefined) continue
      bucket = next
      taken += 1
    }
    expect(taken).toBe(rate.burst + 10 * rate.perSecond - 1)
    expect(tokensOf(rate, bucket, 9_999)).toBeLessThan(1)
  })
})
