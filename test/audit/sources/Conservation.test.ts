import { expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import type { LedgerSource } from "../../../src/audit/sources/AuditLedger.ts"
import { type Balance, balance, type LocalCounts } from "../../../src/audit/sources/Conservation.ts"

const nothing: LedgerSource = {
  source: crypto.randomUUID(),
  identity: null,
  kind: "process",
  host: null,
  pid: null,
  startedAt: null,
  bootId: null,
  seenAt: null,
  lastAt: null,
  checkedSeq: 0,
  unsignedAfter: null,
  signedOffAt: null,
  committed: 0,
  counted: true,
  deadLettered: 0,
  durability: "journal",
  inDoubt: null,
  lastSeq: 0,
  lost: 0,
  quarantined: 0,
  refused: null,
  replayed: 0,
  shed: null,
  signedOffSeq: null,
  unwritten: null
}
const noneLocal: LocalCounts = { pending: 0, lastSeq: 0, refused: 0, shed: 0, quarantined: 0 }

const table: ReadonlyArray<
  readonly [string, Partial<LedgerSource>, Partial<LocalCounts> | undefined, Partial<Balance>]
> = [
  ["nothing happened", {}, undefined, { offered: 0, unaccounted: 0 }],
  ["all is written", { lastSeq: 5, committed: 5 }, undefined, { offered: 5, committed: 5, unaccounted: 0 }],
  [
    "some wait in a living process",
    { lastSeq: 5, committed: 5 },
    { pending: 3, lastSeq: 8 },
    { offered: 8, pending: 3, unaccounted: 0 }
  ],
  [
    "the process is read between its COMMIT and its own count",
    { lastSeq: 5, committed: 5 },
    { pending: 0, lastSeq: 5, refused: 2 },
    { offered: 7, refused: 2, unaccounted: 0 }
  ],
  [
    "refused and shed, told at the end",
    { lastSeq: 4, committed: 4, signedOffSeq: 6, shed: 2, refused: 3, unwritten: 0, inDoubt: 0 },
    undefined,
    { offered: 9, shed: 2, refused: 3, pending: 0, unaccounted: 0 }
  ],
  [
    "the end left some in the journal",
    { lastSeq: 4, committed: 4, signedOffSeq: 9, shed: 0, refused: 0, unwritten: 3, inDoubt: 2 },
    undefined,
    { offered: 9, pending: 5, unaccounted: 0 }
  ],
  [
    "those came into the table since",
    { lastSeq: 9, committed: 9, signedOffSeq: 9, shed: 0, refused: 0, unwritten: 3, inDoubt: 2 },
    undefined,
    { pending: 0, unaccounted: 0 }
  ],
  [
    "the end of a process without a journal left some nowhere",
    { durability: "memory", lastSeq: 4, committed: 4, signedOffSeq: 9, unwritten: 5, inDoubt: 0 },
    undefined,
    { pending: 0, unaccounted: 5 }
  ],
  [
    "a receipt names them",
    { durability: "memory", lastSeq: 4, committed: 4, signedOffSeq: 9, unwritten: 5, inDoubt: 0, lost: 5 },
    undefined,
    { lost: 5, unaccounted: 0 }
  ],
  [
    "dead letters, of which one was replayed",
    { lastSeq: 6, committed: 4, deadLettered: 3, replayed: 1 },
    undefined,
    { committed: 4, deadLettered: 2, unaccounted: 0 }
  ],
  [
    "damage in the journal",
    { lastSeq: 6, committed: 4 },
    { quarantined: 2, lastSeq: 6 },
    { quarantined: 2, unaccounted: 0 }
  ],
  ["a row is gone", { lastSeq: 6, committed: 5 }, undefined, { unaccounted: 1 }],
  ["a row came that was called lost", { lastSeq: 6, committed: 6, lost: 1 }, undefined, { unaccounted: -1 }],
  ["an older program wrote", { lastSeq: 6, counted: false }, undefined, { unaccounted: 6, counted: false }]
]

it.each(table)("balances a source: %s", (_, ledger, local, expected) => {
  const found = balance({ ...nothing, ...ledger }, local === undefined ? undefined : { ...noneLocal, ...local })
  expect(found).toMatchObject(expected)
})

/** What happens to the events of one source, in the order in which it happens. */
const step = FastCheck.constantFrom<Step>(
  "record",
  "record",
  "record",
  "commit",
  "commit",
  "dead-letter",
  "replay",
  "refuse",
  "shed",
  "damage",
  "crash",
  "adopt"
)
type Step = "record" | "commit" | "dead-letter" | "replay" | "refuse" | "shed" | "damage" | "crash" | "adopt"

/** The journal keeps what waits through a crash; the table is the ledger's; the process that recovers it reports what the journal knew. */
const history = (steps: ReadonlyArray<Step>) => {
  const ledger = { ...nothing }
  const local = { ...noneLocal }
  let crashed = false
  for (const step of steps) {
    if (step === "crash") crashed = true
    if (step === "adopt" && crashed) {
      Object.assign(ledger, { refused: local.refused, shed: local.shed, quarantined: local.quarantined })
    }
    const wrote = () => {
      local.pending -= 1
      ledger.lastSeq = Math.max(ledger.lastSeq, local.lastSeq - local.pending)
    }
    if (step === "commit" && local.pending > 0) {
      ledger.committed += 1
      wrote()
    }
    if (step === "dead-letter" && local.pending > 0) {
      ledger.deadLettered += 1
      wrote()
    }
    if (step === "replay" && ledger.replayed < ledger.deadLettered) {
      ledger.replayed += 1
      ledger.committed += 1
    }
    if (step === "damage" && local.pending > 0) {
      local.quarantined += 1
      local.pending -= 1
    }
    if (crashed) continue
    if (step === "record") {
      local.lastSeq += 1
      local.pending += 1
    }
    if (step === "refuse") local.refused += 1
    if (step === "shed") {
      local.lastSeq += 1
      local.shed += 1
    }
  }
  return { ledger, local }
}

const sum = (found: Balance): number =>
  found.committed + found.pending + found.deadLettered + found.quarantined + found.refused + found.shed + found.lost

it("any history balances, and a row that is taken away shows", () => {
  FastCheck.assert(
    FastCheck.property(FastCheck.array(step, { maxLength: 200 }), FastCheck.nat(), (steps, pick) => {
      const { ledger, local } = history(steps)
      const found = balance(ledger, local)
      expect(found.unaccounted).toBe(0)
      expect(found.offered).toBe(sum(found))
      if (ledger.committed === 0) return
      const taken = 1 + (pick % ledger.committed)
      const robbed = balance({ ...ledger, committed: ledger.committed - taken }, local)
      expect(robbed.unaccounted).toBe(taken)
      expect(robbed.offered).toBe(sum(robbed) + taken)
    }),
    { numRuns: 500 }
  )
})
