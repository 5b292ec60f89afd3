import { randomFillSync } from "node:crypto"
import { expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { AuditId, clockTolerance, makeUuidV7, millisOf, uuidFloor } from "../../../src/audit/encoding/AuditId.ts"

const make = () => makeUuidV7((bytes) => randomFillSync(bytes))

/** Milliseconds of a clock that may stand still, jump and step back. */
const clock = FastCheck.array(FastCheck.integer({ min: 0, max: 2 ** 41 }), { minLength: 1, maxLength: 300 })

/** One that jumps ahead at will, but steps back by no more than the tolerance from the furthest that it has been. */
const steadyClock = FastCheck.array(FastCheck.integer({ min: -clockTolerance, max: 2 * clockTolerance }), {
  minLength: 1,
  maxLength: 300
}).map((steps) => {
  let furthest = 2 ** 40
  return steps.map((step) => {
    const now = furthest + step
    furthest = Math.max(furthest, now)
    return now
  })
})

it.prop("each id is a UUIDv7 and no id comes twice, whatever the clock does", [clock], ([moments]) => {
  const next = make()
  const ids = moments.map((now) => next(now))
  expect(ids.every(Schema.is(AuditId))).toBe(true)
  expect(new Set(ids).size).toBe(ids.length)
})

it.prop(
  "each id is greater than the one before while the clock steps back a little at most",
  [steadyClock],
  ([moments]) => {
    const next = make()
    const ids = moments.map((now) => next(now))
    expect(ids.toSorted()).toEqual(ids)
  }
)

it.prop(
  "no id is further ahead of its moment than the tolerance, whatever the clock did before",
  [clock],
  ([moments]) => {
    const next = make()
    for (const now of moments) expect(millisOf(next(now)) - now).toBeLessThanOrEqual(clockTolerance + 1)
  }
)

it("a clock that had gone ahead is followed again when it is back, and the step is told", () => {
  const steps: Array<number> = []
  const next = makeUuidV7(
    (bytes) => randomFillSync(bytes),
    (millis) => steps.push(millis)
  )
  const day = 24 * 60 * 60 * 1_000
  const moments = [10 * day, 130 * day, 10 * day + 5, 10 * day + 4, 10 * day + 6]
  expect(moments.map((now) => millisOf(next(now)))).toEqual([
    10 * day,
    130 * day,
    10 * day + 5,
    10 * day + 5,
    10 * day + 6
  ])
  expect(steps).toEqual([120 * day - 5])
})

it.prop("an id is never earlier than its moment", [clock], ([moments]) => {
  const next = make()
  for (const now of moments) expect(millisOf(next(now))).toBeGreaterThanOrEqual(now)
})

it("goes on into the next milliseconds when one has no numbers left", () => {
  const next = make()
  const ids = Array.from({ length: 10_000 }, () => next(1_000))
  expect(ids.toSorted()).toEqual(ids)
  expect(millisOf(ids.at(-1) ?? "")).toBeLessThan(1_010)
})

it("draws a new tail for each id, so that no id reveals the next", () => {
  const next = make()
  const tails = Array.from({ length: 1_000 }, () => next(1_000).slice(19))
  expect(new Set(tails).size).toBe(1_000)
})

it.prop("the floor of a moment parts the ids before it from those since", [clock], ([moments]) => {
  for (const now of moments) {
    const id = make()(now)
    expect(id >= uuidFloor(now)).toBe(true)
    expect(id < uuidFloor(now + 1)).toBe(true)
  }
})

it("the floor of a moment outside of what an id can hold is the first or the last", () => {
  expect(uuidFloor(-1)).toBe("00000000-0000-0000-0000-000000000000")
  expect(uuidFloor(Number.MAX_SAFE_INTEGER)).toBe("ffffffff-ffff-0000-0000-000000000000")
})
