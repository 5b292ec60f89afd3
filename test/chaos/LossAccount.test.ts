import { describe, expect, it } from "@effect/vitest"
import { type Life, lossAccount, type Receipt } from "./harness/LossAccount.ts"

const life = (more: Partial<Life>): Life => ({
  source: "a",
  signedOff: null,
  unsignedAfter: null,
  lost: 0,
  rows: 0,
  lastRow: 0,
  ...more
})
const tail = (after: number, source = "a"): Receipt => ({
  kind: "tail",
  source,
  from: after + 1,
  to: null,
  count: null
})
const gap = (from: number, to: number): Receipt => ({ kind: "gap", source: "a", from, to, count: to - from + 1 })

const wrong = (one: Partial<Life>, ...receipts: ReadonlyArray<Receipt>) => lossAccount([life(one)], receipts).wrong

describe("the account of what processes lost that were killed", () => {
  it("is settled where rows and receipts name each number up to the last that is known", () => {
    expect(wrong({ signedOff: 5, rows: 5, lastRow: 5 })).toEqual([])
    expect(wrong({ unsignedAfter: 5, rows: 5, lastRow: 5 }, tail(5))).toEqual([])
    expect(wrong({ unsignedAfter: 9, lost: 4, rows: 5, lastRow: 6 }, gap(6, 6), gap(7, 9), tail(9))).toEqual([])
    expect(wrong({ unsignedAfter: 0 }, tail(0))).toEqual([])
  })

  it("counts the numbers and the unknown tails that receipts name", () => {
    const lives = [life({ unsignedAfter: 9, lost: 4, rows: 5 }), life({ source: "b", unsignedAfter: 3, rows: 3 })]
    // A process may be killed after it wrote the receipt of a tail and before it records that; the next writes another.
    const receipts = [gap(6, 9), tail(9), tail(3, "b"), tail(3, "b")]
    expect(lossAccount(lives, receipts)).toEqual({ lives: 2, tails: 2, named: 4, wrong: [] })
  })

  it("reports an end without a sign-off or a receipt", () => {
    expect(wrong({ rows: 5, lastRow: 5 })).toHaveLength(1)
    expect(wrong({ unsignedAfter: 5, rows: 5, lastRow: 5 })).toHaveLength(1)
    expect(wrong({ unsignedAfter: 5, rows: 5, lastRow: 5 }, tail(4))).toHaveLength(1)
  })

  it("misses a number that neither a row nor a receipt has, and sees one that has both", () => {
    expect(wrong({ unsignedAfter: 6, rows: 5, lastRow: 6 }, tail(6))).toHaveLength(1)
    expect(wrong({ unsignedAfter: 6, lost: 2, rows: 5, lastRow: 6 }, gap(5, 6), tail(6))).toHaveLength(1)
    expect(wrong({ signedOff: 6, rows: 5, lastRow: 6 })).toHaveLength(1)
  })

  it("sees a row that is called unknown, a tail of one that signed off, and losses that its entry does not count", () => {
    expect(wrong({ unsignedAfter: 5, rows: 5, lastRow: 6 }, tail(5))).toHaveLength(1)
    expect(wrong({ signedOff: 5, rows: 5, lastRow: 5 }, tail(5))).toHaveLength(1)
    expect(wrong({ unsignedAfter: 6, rows: 5, lastRow: 6 }, gap(5, 5), tail(6))).toHaveLength(1)
  })
})
