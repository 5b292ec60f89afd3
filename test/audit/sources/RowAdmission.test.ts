import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import type { AuditId } from "../../../src/audit/encoding/AuditId.ts"
import type { HashedRow } from "../../../src/audit/encoding/AuditRow.ts"
import { withdrawal } from "../../../src/audit/encoding/TrailEvents.ts"
import type { AuditLedger } from "../../../src/audit/sources/AuditLedger.ts"
import { admitting } from "../../../src/audit/sources/RowAdmission.ts"
import type { AuditStore } from "../../../src/audit/store/AuditStore.ts"
import { retryClass } from "../../../src/audit/store/RetryClass.ts"
import { guardianEvent, rowsOf } from "../../support/AuditEvents.ts"

const start = Date.parse("2026-01-01T00:00:00Z")

/** A store that keeps its rows in memory, and what a guardian may write to it. */
const admission = () => {
  const committed = new Set<AuditId>()
  const letters: Array<{ readonly id: AuditId; readonly sqlstate: string | null }> = []
  const store = {
    locate: () => Effect.succeed({ committed, deadLettered: new Set(letters.map(({ id }) => id)) }),
    append: (rows: ReadonlyArray<HashedRow>) => {
      for (const { id } of rows) committed.add(id)
      return Effect.succeed({ conflicts: [] })
    },
    deadLetter: ({ id }: HashedRow, { sqlstate }: { readonly sqlstate: string | null }) =>
      Effect.sync(() => void letters.push({ id, sqlstate }))
  } as unknown as typeof AuditStore.Service
  const ledger = { source: () => Effect.succeed(undefined) } as unknown as typeof AuditLedger.Service
  return { committed, letters, ...admitting({ store, ledger, identity: "service:guardian" }) }
}

const scene = Effect.gen(function* () {
  yield* TestClock.setTime(start)
  const source = crypto.randomUUID()
  const made = (event: Parameters<typeof rowsOf>[1]) => {
    const [row] = rowsOf(1, { source, timestamp: start, ...event })
    if (row === undefined) throw new Error("no row")
    return row
  }
  const event = made({ event: guardianEvent })
  const withdrawn = made({ from: 2, event: withdrawal(guardianEvent, event.id, "it was not given") })
  const other = made({ from: 3, event: guardianEvent })
  return { ...admission(), event, withdrawn, other }
})

it.effect("a withdrawal whose event is parked at its writer waits for it", () =>
  Effect.gen(function* () {
    const { append, committed, deadLetter, event, letters, other, withdrawn } = yield* scene
    const failures = [
      yield* Effect.flip(append([withdrawn, other], { certain: true })),
      yield* Effect.flip(deadLetter(withdrawn, { sqlstate: "22000", reason: "no reason", attempts: 1 }))
    ]
    // The writer isolates the row, and parks it once it cannot be a dead letter.
    expect(failures.map(retryClass)).toEqual(["data", "data"])
    expect([committed.size, letters]).toEqual([0, []])
    yield* append([other], { certain: true })
    yield* append([event], { certain: true })
    expect(yield* append([withdrawn], { certain: true })).toEqual({ conflicts: [] })
    expect([committed.has(withdrawn.id), letters]).toEqual([true, []])
  })
)

it.effect.each([
  ["after five minutes", start + 5 * 60_000],
  ["where its event is still to come", start - 5 * 60_000]
] as const)("a withdrawal without its event is a dead letter %s", ([, now]) =>
  Effect.gen(function* () {
    const { append, committed, letters, other, withdrawn } = yield* scene
    yield* TestClock.setTime(now)
    expect(yield* append([withdrawn, other], { certain: true })).toMatchObject({ refused: [{ id: withdrawn.id }] })
    expect([[...committed], letters]).toEqual([[other.id], [{ id: withdrawn.id, sqlstate: "28S02" }]])
  })
)
