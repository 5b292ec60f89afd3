import { expect, it } from "@effect/vitest"
import { type BatchSizer, confirmedSizer, shrunkSizer } from "../../../src/audit/writer/RetryDecision.ts"

const after = (sizer: BatchSizer, batches: number, rows: number): BatchSizer => {
  let current = sizer
  for (let batch = 0; batch < batches; batch++) current = confirmedSizer(current, rows, 1_000)
  return current
}

it("a batch that takes too long halves the batch size, down to one row", () => {
  expect(shrunkSizer(1_000).rows).toBe(500)
  expect(shrunkSizer(3).rows).toBe(2)
  expect(shrunkSizer(1).rows).toBe(1)
})

it("eight full batches in a row double the size, up to the maximum", () => {
  const sizer = shrunkSizer(1_000)
  expect(after(sizer, 7, 500).rows).toBe(500)
  expect(after(sizer, 8, 500)).toEqual({ rows: 1_000, streak: 0 })
  expect(after({ rows: 700, streak: 0 }, 8, 700).rows).toBe(1_000)
  expect(after({ rows: 1_000, streak: 0 }, 8, 1_000)).toEqual({ rows: 1_000, streak: 0 })
})

it("batches that are not full do not change the size", () => {
  expect(after(shrunkSizer(1_000), 100, 499)).toEqual(shrunkSizer(1_000))
})
