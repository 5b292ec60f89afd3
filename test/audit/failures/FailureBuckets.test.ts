import { describe, expect, it } from "vitest"
import { makeFailureBuckets, maximumBuckets } from "../../../src/audit/failures/FailureBuckets.ts"
import { networkOf } from "../../../src/platform/http/ClientAddress.ts"

const bucketRate = (perSecond: number) => ({ perSecond, burst: perSecond * 5 })
const unlimited = bucketRate(1_000_000)

/** An address of its own /64. */
const subscriber = (index: number): string =>
  networkOf(`2001:db8:${(index >> 16).toString(16)}:${(index & 0xffff).toString(16)}::1`)

const numbers = Array.from({ length: 20_000 }, (_, index) => index)

describe("The buckets of failures", () => {
  it("give each network its burst, and one network nothing of another's", () => {
    const buckets = makeFailureBuckets({ perAddress: bucketRate(2), inAll: unlimited })
    const ask = (network: string) => buckets.exceeded(network, 0)
    expect(Array.from({ length: 12 }, () => ask("a"))).toEqual([...Array(10).fill(undefined), "address", "address"])
    expect(ask("b")).toBeUndefined()
  })

  it("limit all networks together, and take no token of the network then", () => {
    const buckets = makeFailureBuckets({ perAddress: bucketRate(1), inAll: bucketRate(1) })
    expect(["a", "b", "c", "d", "e"].map((network) => buckets.exceeded(network, 0))).toEqual(Array(5).fill(undefined))
    expect(Array.from({ length: 9 }, () => buckets.exceeded("f", 0))).toEqual(Array(9).fill("total"))
    // At the same rate as the total's, the network's bucket would still be empty.
    expect(Array.from({ length: 5 }, () => buckets.exceeded("f", 5_000))).toEqual(Array(5).fill(undefined))
  })

  it("count 20 000 addresses of one IPv6 /64 as one", () => {
    const buckets = makeFailureBuckets({ perAddress: bucketRate(10), inAll: unlimited })
    const passed = numbers.filter(
      (index) => buckets.exceeded(networkOf(`2001:db8::${index.toString(16)}`), 0) === undefined
    )
    expect(passed).toHaveLength(50)
    expect(buckets.size()).toBe(1)
  })

  it("are 10 000 for 20 000 IPv6 networks, and one for the others", () => {
    const buckets = makeFailureBuckets({ perAddress: bucketRate(10), inAll: unlimited })
    const passed = numbers.filter((index) => buckets.exceeded(subscriber(index), 0) === undefined)
    expect(buckets.size()).toBe(maximumBuckets)
    expect(passed).toHaveLength(maximumBuckets + 50)
    // A network with a bucket of its own is not affected.
    expect(buckets.exceeded(subscriber(3), 0)).toBeUndefined()
    expect(buckets.exceeded(subscriber(19_999), 0)).toBe("address")
  })

  it("make room for new networks once the old ones are quiet", () => {
    const buckets = makeFailureBuckets({ perAddress: bucketRate(10), inAll: unlimited })
    for (const index of numbers) buckets.exceeded(subscriber(index), 0)
    expect(buckets.exceeded(subscriber(19_999), 6_000)).toBeUndefined()
    expect(buckets.size()).toBe(1)
  })
})
