import { expect, it } from "@effect/vitest"
import { type BatchSizer, confirmed, shortened } from "../../../src/audit/writer/BatchSizer.ts"

const after = (stride: BatchSizer, pieces: number, rows: number): BatchSizer => {
  let current = stride
  for (let piece = 0; piece < pieces; piece++) current = confirmed(current, rows, 1_000)
  return current
}

it("a piece that takes too long halves the stride, down to one row", () => {
  expect(shortened(1_000).rows).toBe(500)
  expect(shortened(3).rows).toBe(2)
  expect(shortened(1).rows).toBe(1)
})

it("eight pieces of full length that go well double it, up to the batch", () => {
  const stride = shortened(1_000)
  expect(after(stride, 7, 500).rows).toBe(500)
  expect(after(stride, 8, 500)).toEqual({ rows: 1_000, streak: 0 })
  expect(after({ rows: 700, streak: 0 }, 8, 700).rows).toBe(1_000)
  expect(after({ rows: 1_000, streak: 0 }, 8, 1_000)).toEqual({ rows: 1_000, streak: 0 })
})

it("shorter pieces prove nothing about longer ones", () => {
  expect(after(shortened(1_000), 100, 499)).toEqual(shortened(1_000))
})
