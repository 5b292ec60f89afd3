import { expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import type { PipelineStatus } from "../../../src/audit/PipelineStatus.ts"
import type { LedgerSource } from "../../../src/audit/sources/AuditLedger.ts"
import { type AuditCounters, AuditStatus } from "../../../src/contracts/AuditStatus.ts"
import { pipelineView } from "../../../src/gatekeeper/trail/PipelineView.ts"

const source = crypto.randomUUID()

const ledger: LedgerSource = {
  source,
  identity: null,
  kind: "process",
  host: "here",
  pid: 1,
  startedAt: null,
  bootId: null,
  durability: "journal",
  seenAt: null,
  lastSeq: 0,
  lastAt: null,
  signedOffAt: null,
  signedOffSeq: null,
  refused: null,
  shed: null,
  unwritten: null,
  inDoubt: null,
  committed: 0,
  deadLettered: 0,
  replayed: 0,
  quarantined: 0,
  checkedSeq: 0,
  lost: 0,
  unsignedAfter: null,
  counted: true
}

const counters: AuditCounters = {
  offered: 0,
  committed: 0,
  deadLettered: 0,
  refused: 0,
  shed: 0,
  passedOver: 0,
  notWithdrawn: 0
}

const status: PipelineStatus = {
  mode: "journal",
  source,
  accepting: true,
  drain: "idle",
  drain_problem: null,
  depth: 0,
  in_journal_only: 0,
  capacity: 10,
  aside: 0,
  oldest_age_ms: null,
  restarts: 0,
  counters,
  journal: null,
  trail: null,
  adoptingCounts: null
}

const balanceOf = (row: Partial<LedgerSource>, own: Partial<AuditCounters>, depth: number) => {
  const now = { ...status, counters: { ...counters, ...own }, depth }
  const deadLetters = { total: 0, waiting: 0 }
  const page = { sources: [{ ...ledger, ...row }], next: null, deadLetters }
  const { sources } = pipelineView(now, Either.right(page))
  return sources?.[0]
}

it.each([
  ["before any account", {}, { pending: 10, quarantined: 5, lost: 0, unaccounted: 0 }],
  ["once it is called lost", { lost: 5 }, { pending: 10, quarantined: 0, lost: 5, unaccounted: 0 }],
  ["once a part of it is called lost", { lost: 2 }, { pending: 10, quarantined: 3, lost: 2, unaccounted: 0 }],
  ["once all that waited is written", { committed: 95, lost: 5 }, { pending: 0, quarantined: 0, unaccounted: 0 }],
  ["while a row is nowhere", { committed: 84 }, { pending: 10, quarantined: 5, lost: 0, unaccounted: 1 }]
] as const)("what the journal could not give back is counted once, %s", (_when, row, expected) => {
  const own = { offered: 100, committed: 85, passedOver: 5 }
  expect(balanceOf({ lastSeq: 100, committed: 85, ...row }, own, 10)).toMatchObject(expected)
})

it("the process's part of the report has the members of the contract, in its order, and no others", () => {
  const { process } = pipelineView(
    status,
    Either.right({ sources: [], next: null, deadLetters: { total: 0, waiting: 0 } })
  )
  expect(Object.keys(process)).toEqual(Object.keys(AuditStatus.fields))
})

it("the source whose journal is recovered is balanced with the counts of its process", () => {
  const adopted = crypto.randomUUID()
  const adopting = { source: adopted, pending: 4, read_problem: null }
  const others = { alive: 0, adopted: 0, foreign: [], stuck: [], adopting }
  const files = { path: "/", bytes: 0, max_bytes: 1, segments: 1, problem: null, read_problem: null, quarantined: 0 }
  const now = { ...status, journal: { ...files, others }, adoptingCounts: { lastSeq: 9, refused: 2, shed: 1 } }
  const row = { ...ledger, source: adopted, lastSeq: 4, committed: 4 }
  const page = { sources: [row], next: null, deadLetters: { total: 0, waiting: 0 } }
  expect(pipelineView(now, Either.right(page)).sources).toMatchObject([
    { standing: "being taken over", offered: 11, committed: 4, pending: 4, refused: 2, shed: 1, unaccounted: 0 }
  ])
})
