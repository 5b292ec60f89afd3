import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { attribute, unexplained } from "../../../src/audit/recovery/MissingRanges.ts"
import { isTailKnown } from "../../../src/audit/recovery/UnknownTail.ts"

describe("whether the tail of an incarnation is known", () => {
  const killed = { ended: false, sameBoot: true }
  const powerLost = { ended: false, sameBoot: false }
  const stopped = { ended: true, sameBoot: false }

  it.each([
    ["killed, with a journal", { ...killed, durability: "journal" }, true],
    ["killed, without one", { ...killed, durability: "memory" }, false],
    ["the machine lost power, journal", { ...powerLost, durability: "journal" }, false],
    ["the machine lost power, fsync", { ...powerLost, durability: "fsync" }, true],
    ["the machine lost power, commit", { ...powerLost, durability: "commit" }, true],
    ["the machine lost power, one result with less", { ...powerLost, durability: "fsync ALLOWED=journal" }, false],
    ["the machine lost power, one result with more", { ...powerLost, durability: "journal DENIED=fsync" }, false],
    ["killed, one result with a journal", { ...killed, durability: "memory DENIED=fsync" }, true],
    ["stopped in order, journal", { ...stopped, durability: "journal" }, true],
    ["stopped in order, memory", { ...stopped, durability: "memory" }, true]
  ] as const)("%s", (_, remains, known) => {
    expect(isTailKnown(remains)).toBe(known)
  })
})

describe("what became of numbers that are nowhere", () => {
  const missing = [
    { from: 3, to: 4 },
    { from: 9, to: 12 }
  ]
  const none = { missing, damaged: [], shed: 0, unreadable: 0 }

  it.each([
    ["nothing explains them", none, { shed: [], quarantined: [], lost: missing }],
    ["all were shed", { ...none, shed: 6 }, { shed: missing, quarantined: [], lost: [] }],
    ["more were shed than are missing", { ...none, shed: 9 }, { shed: missing, quarantined: [], lost: [] }],
    [
      "some were shed",
      { ...none, shed: 3 },
      {
        shed: [
          { from: 3, to: 4 },
          { from: 9, to: 9 }
        ],
        quarantined: [],
        lost: [{ from: 10, to: 12 }]
      }
    ],
    [
      "damage explains what it covers, and no more",
      { ...none, damaged: [{ from: 8, to: 10 }] },
      {
        shed: [],
        quarantined: [{ from: 9, to: 10 }],
        lost: [
          { from: 3, to: 4 },
          { from: 11, to: 12 }
        ]
      }
    ],
    [
      "some could not be read back",
      { ...none, shed: 1, unreadable: 2 },
      {
        shed: [{ from: 3, to: 3 }],
        quarantined: [
          { from: 4, to: 4 },
          { from: 9, to: 9 }
        ],
        lost: [{ from: 10, to: 12 }]
      }
    ],
    ["what was shed has its receipts", { ...none, shed: -4 }, { shed: [], quarantined: [], lost: missing }]
  ] as const)("%s", (_, found, expected) => {
    expect(attribute(found)).toEqual(expected)
  })
})

const numbers = FastCheck.uniqueArray(FastCheck.integer({ min: 1, max: 60 }))

const rangesOf = (set: ReadonlySet<number>) => {
  const ranges: Array<{ from: number; to: number }> = []
  for (const number of [...set].toSorted((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last !== undefined && last.to === number - 1) last.to = number
    else ranges.push({ from: number, to: number })
  }
  return ranges
}

const membersOf = (ranges: ReadonlyArray<{ readonly from: number; readonly to: number }>) =>
  ranges.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, index) => from + index))

it.prop("what no receipt names is the set difference, whatever the ranges", [numbers, numbers], ([missing, named]) => {
  const difference = missing.filter((number) => !named.includes(number)).toSorted((a, b) => a - b)
  expect(membersOf(unexplained(rangesOf(new Set(missing)), rangesOf(new Set(named))))).toEqual(difference)
})

it("receipts that overlap, or are unordered, explain as much as their union", () => {
  const known = [
    { from: 15, to: 30 },
    { from: 5, to: 16 },
    { from: 5, to: 7 }
  ]
  expect(unexplained([{ from: 1, to: 40 }], known)).toEqual([
    { from: 1, to: 4 },
    { from: 31, to: 40 }
  ])
})
