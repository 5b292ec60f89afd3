import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import type { JournalSummary } from "../../../src/audit/cli/JournalReport.ts"
import {
  addBalance,
  balanceOf,
  emptyBalance,
  explain,
  isNotable,
  localStanding,
  unregistered
} from "../../../src/audit/cli/SourceAccount.ts"
import { trailVerdict } from "../../../src/audit/cli/TrailStatus.ts"
import type { LedgerSource } from "../../../src/audit/sources/AuditLedger.ts"
import type { Balance } from "../../../src/audit/sources/Conservation.ts"

const source = "01983f2e-7c1a-4000-8000-0123456789ab"

const journal = (change: Partial<JournalSummary> = {}, durability = "journal"): JournalSummary => ({
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

const row = (change: Partial<LedgerSource> = {}): LedgerSource => ({ ...unregistered(journal()), ...change })

describe("the balance of a source", () => {
  it.each<[what: string, row: LedgerSource, journal: JournalSummary | undefined, expected: Partial<Balance>]>([
    ["a journal whose rows are not in the database", row(), journal(), { offered: 10, pending: 10, unaccounted: 0 }],
    [
      "a journal whose first rows are in the database",
      row({ committed: 4 }),
      journal(),
      { pending: 6, unaccounted: 0 }
    ],
    ["a journal that still has settled records", row({ committed: 10 }), journal(), { pending: 0, unaccounted: 0 }],
    ["a journal that lost records", row(), journal({ pending: [{ from: 3, to: 10 }] }), { pending: 8, unaccounted: 2 }],
    [
      "shed and refused events",
      row({ committed: 7 }),
      journal({ shed: 3, refused: 2 }),
      { offered: 12, unaccounted: 0 }
    ],
    [
      "a running process with mode memory",
      row({ committed: 4 }),
      journal({ living: true, pending: [] }, "memory"),
      { pending: 6 }
    ],
    [
      "a dead process with mode memory",
      row({ committed: 4 }),
      journal({ pending: [] }, "memory"),
      { pending: 0, unaccounted: 6 }
    ],
    ["a journal that cannot be read", row({ lastSeq: 4, committed: 4 }), journal({ problem: "EIO" }), { offered: 4 }],
    ["a surplus row", row({ lastSeq: 4, committed: 5 }), undefined, { unaccounted: -1 }]
  ])("covers %s", (_, row, journal, expected) => {
    expect(balanceOf(row, journal)).toMatchObject(expected)
  })

  it("adds up for any counts of the ledger and the journal", () => {
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
          const found = balanceOf(row(ledger), journal({ ...local, pending, living }, durability))
          const { committed, deadLettered, lost, offered, quarantined, refused, shed, unaccounted } = found
          const rest = committed + deadLettered + quarantined + refused + shed + lost + unaccounted
          expect(offered).toBe(found.pending + rest)
          expect(found.pending).toBeGreaterThanOrEqual(0)
        }
      )
    )
  })

  it("is notable at any age when events are missing or pending", () => {
    expect(isNotable(emptyBalance, undefined)).toBe(false)
    expect(isNotable({ ...emptyBalance, unaccounted: 2, counted: false }, undefined)).toBe(false)
    for (const change of [{ pending: 1 }, { lost: 1 }, { unaccounted: -1 }]) {
      expect(isNotable({ ...emptyBalance, ...change }, undefined)).toBe(true)
    }
    expect(isNotable(emptyBalance, journal())).toBe(true)
  })

  it.each<[expected: string, row: LedgerSource, journal: JournalSummary | undefined]>([
    ["runs here", row(), journal({ holder: "process 1", living: true })],
    ["signed off", row({ signedOffSeq: 3 }), journal()],
    ["tail unknown", row({ unsignedAfter: 3 }), undefined],
    ["gone, journal left", row(), journal()],
    ["being taken over", row(), journal({ holder: "process 2" })],
    ["elsewhere", row(), undefined]
  ])("has the standing %s", (expected, row, journal) => {
    expect(localStanding(row, journal)).toBe(expected)
  })
})

it("explain sorts missing numbers into waiting, named and unnamed, and counts those beyond the balance", () => {
  const gaps = [
    { from: 2, to: 9 },
    { from: 20, to: 20 }
  ]
  const named = [
    { from: 1, to: 3 },
    { from: 8, to: 8 }
  ]
  const balance = { ...emptyBalance, pending: 3, shed: 2, unaccounted: 3 }
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

describe("the exit code of trail status", () => {
  const account = (total: Partial<Balance>, waiting = 0, removed = 0) => ({
    problem: null,
    account: {
      trail: "t",
      address: "a",
      count: 1,
      total: { ...emptyBalance, ...total },
      deadLetters: { total: 5, waiting },
      sources: [
        {
          row: row(),
          standing: "",
          balance: emptyBalance,
          journal: undefined,
          gaps: { unnamed: [], named: 0, waiting: 0, beyond: removed }
        }
      ]
    }
  })

  it.each<[code: number | undefined, what: string, Parameters<typeof trailVerdict>[0]]>([
    [
      undefined,
      "every event is accounted for",
      account({ offered: 9, committed: 5, shed: 2, quarantined: 1, pending: 1 })
    ],
    [3, "events are lost", account({ lost: 1 }, 1)],
    [3, "events are unaccounted for", account({ unaccounted: 1 })],
    [3, "rows were removed", account({}, 0, 2)],
    [4, "dead letters wait", account({}, 1)],
    [9, "the database is unreachable", { account: null, problem: "no answer" }]
  ])("is %s when %s", (code, _, status) => {
    expect(trailVerdict(status)?.exitCode).toBe(code)
  })

  it("does not offset the surplus of one source against what another lacks", () => {
    const sum = [2, -2].map((unaccounted) => ({ ...emptyBalance, unaccounted })).reduce(addBalance, emptyBalance)
    expect(trailVerdict(account(sum))?.message).toContain("4 events")
    expect(addBalance(sum, { ...emptyBalance, unaccounted: 7, counted: false })).toMatchObject({
      unaccounted: 4,
      counted: false
    })
    expect(addBalance({ ...sum, counted: false }, emptyBalance).unaccounted).toBe(4)
  })
})
