import { expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as SeqRanges from "../../../src/audit/journal/SeqRanges.ts"

/** Where among the numbers given so far. */
const place = FastCheck.double({ min: 0, max: 1.1, noNaN: true })

const steps = FastCheck.array(
  FastCheck.oneof(
    {
      weight: 5,
      arbitrary: FastCheck.record({
        do: FastCheck.constant("add" as const),
        skip: FastCheck.constantFrom(1, 1, 1, 1, 2)
      })
    },
    FastCheck.record({ do: FastCheck.constant("remove" as const), place }),
    FastCheck.record({ do: FastCheck.constant("oldest" as const) }),
    FastCheck.record({
      do: FastCheck.constant("between" as const),
      place,
      length: FastCheck.integer({ min: -1, max: 9 })
    }),
    FastCheck.record({ do: FastCheck.constant("split" as const), place })
  ),
  { maxLength: 120 }
)

const numbersOf = (ranges: SeqRanges.SeqRanges): ReadonlyArray<number> =>
  ranges.ranges().flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, place) => from + place))

it.prop("ranges hold what a set would hold", { steps }, ({ steps }) => {
  let ranges = SeqRanges.make()
  let model: Array<number> = []
  let last = 0
  for (const step of steps) {
    const seq = "place" in step ? Math.floor(step.place * last) : (model[0] ?? 1)
    if (step.do === "add") {
      last += step.skip
      ranges.add(last)
      model.push(last)
    } else if (step.do === "remove" || step.do === "oldest") {
      expect(ranges.remove(seq)).toBe(model.includes(seq))
      model = model.filter((one) => one !== seq)
    } else if (step.do === "between") {
      const isIn = (one: number) => one >= seq && one <= seq + step.length
      expect(ranges.removeBetween(seq, seq + step.length)).toBe(model.filter(isIn).length)
      model = model.filter((one) => !isIn(one))
    } else {
      const moved = ranges.split(seq)
      expect(numbersOf(moved)).toEqual(model.filter((one) => one >= seq))
      expect(moved.size()).toBe(model.filter((one) => one >= seq).length)
      model = model.filter((one) => one < seq)
      if (model.length === 0) ranges = SeqRanges.make()
    }
    expect(numbersOf(ranges)).toEqual(model)
    expect([ranges.size(), ranges.first()]).toEqual([model.length, model[0]])
  }
})

it("what comes and goes in order stays one range", () => {
  const ranges = SeqRanges.make()
  for (let seq = 1; seq <= 10_000; seq++) ranges.add(seq)
  for (let seq = 1; seq <= 9_000; seq++) ranges.remove(seq)
  expect(ranges.ranges()).toEqual([{ from: 9_001, to: 10_000 }])
})
