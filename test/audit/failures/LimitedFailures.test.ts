import { describe, expect, it } from "vitest"
import { encodeEvent } from "../../../src/audit/encoding/EventEncoding.ts"
import { makeLimitedFailures } from "../../../src/audit/failures/LimitedFailures.ts"

const source = "01890000-0000-7000-8000-000000000001"

describe("A summary of limited failures", () => {
  it("says how many there were, why, from which networks, and up to when the counts are complete", () => {
    const counts = makeLimitedFailures()
    counts.add("address", "203.0.113.9", 1_000)
    counts.add("address", "203.0.113.9", 1_500)
    counts.add("share", "2001:db8:0:0::/64", 1_600)
    expect(counts.summary(source, 2_000)).toMatchObject({
      action: "audit/limit",
      resource: `audit/sources/${source}`,
      ghostId: null,
      result: "LIMITED",
      facts: {
        count: 3,
        counted_from: "1970-01-01T00:00:01.000Z",
        counted_until: "1970-01-01T00:00:02.000Z",
        by_reason: { address: 2, share: 1 },
        by_network: { "203.0.113.9": 2, "2001:db8:0:0::/64": 1 },
        other_networks: 0
      }
    })
    counts.clear()
    expect(counts.count()).toBe(0)
  })

  it("is bounded in size: the trail cuts nothing of it, and its counts add up", () => {
    const counts = makeLimitedFailures()
    const networks = Array.from({ length: 20_000 }, (_, index) => `2001:db8:ffff:${index.toString(16)}::/64`)
    for (const network of networks) counts.add("total", network, 0)
    counts.add("address", networks[7] ?? "", 0)
    const event = counts.summary(source, 999)
    const { marks, metadata } = encodeEvent(event)
    expect(marks).toEqual([])
    const { by_network, count, other_networks } = JSON.parse(metadata)
    expect(Object.keys(by_network)).toHaveLength(32)
    expect(by_network[networks[7] ?? ""]).toBe(2)
    expect(count).toBe(20_001)
    expect(other_networks).toBe(count - 33)
  })
})
