import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import type { JournalSight } from "../../../src/audit/cli/JournalSight.ts"
import {
  accountOf,
  isNotable,
  nothing,
  plus,
  standingAtHome,
  unregistered
} from "../../../src/audit/cli/SourceAccount.ts"
import { explain } from "../../../src/audit/cli/SourceGaps.ts"
import { trailVerdict } from "../../../src/audit/cli/TrailVerdict.ts"
import type { LedgerSource } from "../../../src/audit/sources/AuditLedger.ts"
import type { Balance } from "../../../src/audit/sources/Conservation.ts"

const source = "01983f2e-7c1a-4000-8000-0123456789ab"

const sight = (change: Partial<JournalSight> = {}, durability = "journal"): JournalSight => ({
  path: `journal/${source}`,
  source,
  holder: null,
  living: false,
  identity: { trail: "t", source, bootId: "b", startedAt: 0, host: "h", pid: 1, durability },
  lastSeq: 10,
  refused: 0,
  shed: 0,
  pending: [{ from: 1, to: 10 }],
  bytes: 1_000,
  quarantined: 0,
  problem: null,
  ...change
})

const row = (change: Partial<LedgerSource> = {}): LedgerSource => ({ ...unregistered(sight()), ...change })

describe("the account of a source", () => {
  it.each<[what: string, row: LedgerSource, sight: JournalSight | undefined, expected: Partial<Balance>]>([
    ["a journal that nobody wrote to the database", row(), sight(), { offered: 10, pending: 10, unaccounted: 0 }],
    ["a journal whose first rows are there", row({ committed: 4 }), sight(), { pending: 6, unaccounted: 0 }],
    ["one that holds settled records still", row({ committed: 10 }), sight(), { pending: 0, unaccounted: 0 }],
    ["one that has lost records", row(), sight({ pending: [{ from: 3, to: 10 }] }), { pending: 8, unaccounted: 2 }],
    ["shed and refused ones", row({ committed: 7 }), sight({ shed: 3, refused: 2 }), { offered: 12, unaccounted: 0 }],
    ["a memory that lives", row({ committed: 4 }), sight({ living: true, pending: [] }, "memory"), { pending: 6 }],
    ["a memory that died", row({ committed: 4 }), sight({ pending: [] }, "memory"), { pending: 0, unaccounted: 6 }],
    ["a journal that cannot be read", row({ lastSeq: 4, committed: 4 }), sight({ problem: "EIO" }), { offered: 4 }],
    ["a row too many", row({ lastSeq: 4, committed: 5 }), undefined, { unaccounted: -1 }]
  ])("of %s", (_, row, sight, expected) => {
    expect(accountOf(row, sight)).toMatchObject(expected)
  })

  it("adds up whatever the two sides say", () => {
    const number = FastCheck.nat(50)
    FastCheck.assert(
      FastCheck.property(
        FastCheck.record({ lastSeq: number, committed: number, deadLettered: number, lost: number, shed: number }),
        FastCheck.record({ lastSeq: number, refused: number, shed: number, quarantined: number }),
        FastCheck.array(number, { maxLength: 3 }),
        FastCheck.boolean(),
        FastCheck.constantFrom("journal", "memory", "memory DENIED=fsync"),
        (ledger, local, ends, living, durability) => {
          const pending = ends.map((to) => ({ from: 1, to }))
          const found = accountOf(row(ledger), sight({ ...local, pending, living }, durability))
          const { committed, deadLettered, lost, offered, quarantined, refused, shed, unaccounted } = found
          const rest = committed + deadLettered + quarantined + refused + shed + lost + unaccounted
          expect(offered).toBe(found.pending + rest)
          expect(found.pending).toBeGreaterThanOrEqual(0)
        }
      )
    )
  })

  it("is notable for ever when something is wrong with it", () => {
    expect(isNotable(nothing, undefined)).toBe(false)
    expect(isNotable({ ...nothing, unaccounted: 2, counted: false }, undefined)).toBe(false)
    for (const change of [{ pending: 1 }, { lost: 1 }, { unaccounted: -1 }]) {
      expect(isNotable({ ...nothing, ...change }, undefined)).toBe(true)
    }
    expect(isNotable(nothing, sight())).toBe(true)
  })

  it.each<[expected: string, row: LedgerSource, sight: JournalSight | undefined]>([
    ["runs here", row(), sight({ holder: "process 1", living: true })],
    ["signed off", row({ signedOffSeq: 3 }), sight()],
    ["tail unknown", row({ unsignedAfter: 3 }), undefined],
    ["gone, journal left", row(), sight()],
    ["being taken over", row(), sight({ holder: "process 2" })],
    ["elsewhere", row(), undefined]
  ])("stands as %s", (expected, row, sight) => {
    expect(standingAtHome(row, sight)).toBe(expected)
  })
})

it("a missing number waits, or a receipt names it, or nothing does; more than the balance tells were there once", () => {
  const gaps = [
    { from: 2, to: 9 },
    { from: 20, to: 20 }
  ]
  const named = [
    { from: 1, to: 3 },
    { from: 8, to: 8 }
  ]
  const balance = { ...nothing, pending: 3, shed: 2, unaccounted: 3 }
  expect(explain(gaps, { named, waiting: [{ from: 7, to: 9 }], balance })).toEqual({
    unnamed: [
      { from: 4, to: 6 },
      { from: 20, to: 20 }
    ],
    named: 2,
    waiting: 3,
    beyond: 1
  })
  const uncounted = { ...balance, counted: false }
  expect(explain(gaps, { named, waiting: [], balance: uncounted })).toMatchObject({ waiting: 0, beyond: 4 })
})

describe("what trail status ends with", () => {
  const account = (total: Partial<Balance>, waiting = 0, gone = 0) => ({
    problem: null,
    account: {
      trail: "t",
      address: "a",
      count: 1,
      total: { ...nothing, ...total },
      deadLetters: { total: 5, waiting },
      sources: [
        {
          row: row(),
          standing: "",
          balance: nothing,
          sight: undefined,
          gaps: { unnamed: [], named: 0, waiting: 0, beyond: gone }
        }
      ]
    }
  })

  it.each<[code: number | undefined, what: string, Parameters<typeof trailVerdict>[0]]>([
    [undefined, "all is accounted for", account({ offered: 9, committed: 5, shed: 2, quarantined: 1, pending: 1 })],
    [3, "events are lost", account({ lost: 1 }, 1)],
    [3, "events are nowhere", account({ unaccounted: 1 })],
    [3, "a row is gone", account({}, 0, 2)],
    [4, "dead letters wait", account({}, 1)],
    [9, "the database is away", { account: null, problem: "no answer" }]
  ])("is %s when %s", (code, _, status) => {
    expect(trailVerdict(status)?.exitCode).toBe(code)
  })

  it("does not set off what one source has too many against what another lacks", () => {
    const sum = [2, -2].map((unaccounted) => ({ ...nothing, unaccounted })).reduce(plus, nothing)
    expect(trailVerdict(account(sum))?.message).toContain("4 events")
    expect(plus(sum, { ...nothing, unaccounted: 7, counted: false })).toMatchObject({ unaccounted: 4, counted: false })
    expect(plus({ ...sum, counted: false }, nothing).unaccounted).toBe(4)
  })
})
