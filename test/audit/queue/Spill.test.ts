import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import type { HashedRow } from "../../../src/audit/encoding/AuditRow.ts"
import * as AuditBuffer from "../../../src/audit/queue/AuditBuffer.ts"
import type { Overflow } from "../../../src/audit/queue/Overflow.ts"
import { rowsOf } from "../../support/AuditEvents.ts"

/** A journal in memory: holds each row, and reads back what it is asked for, a turn of the event loop later. */
const holding = (journal: ReadonlyArray<HashedRow>, damaged: ReadonlySet<number> = new Set()): Overflow => ({
  pending: 0,
  start: 0,
  oldest: undefined,
  readAfter: (seq) => {
    let at = seq
    return {
      next: (maximum) =>
        Effect.gen(function* () {
          yield* Effect.yieldNow()
          const found = journal.filter((row) => row.seq > at).slice(0, maximum)
          at = found.at(-1)?.seq ?? at
          const rows = found.filter((row) => !damaged.has(row.seq))
          const caughtUp = at === (journal.at(-1)?.seq ?? 0)
          yield* Effect.yieldNow()
          return { rows, passedOver: found.length - rows.length, caughtUp, certain: true }
        })
    }
  }
})

type Step = { readonly offer: number } | { readonly take: "whole" | "interrupted" }

const steps = FastCheck.array(
  FastCheck.oneof(
    FastCheck.record({ offer: FastCheck.integer({ min: 1, max: 40 }) }),
    FastCheck.record({ take: FastCheck.constantFrom("whole" as const, "interrupted" as const) })
  ),
  { maxLength: 40 }
)

const capacity = 20

it.live(
  "whatever is offered, taken and interrupted, each row comes out once, in order, from a memory that is bounded",
  () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(steps, FastCheck.integer({ min: 1, max: 30 }), async (given, batchSize) => {
          const rows = rowsOf(1_700)
          const journal: Array<HashedRow> = []
          const settled: Array<number> = []
          const run = Effect.gen(function* () {
            const buffer = yield* AuditBuffer.make({
              capacity,
              batchSize,
              linger: 0,
              overflow: holding(journal),
              onSettled: (pieces) => settled.push(...pieces.map((row) => row.seq))
            })
            const settleAll = () => {
              while (buffer.inHand().length > 0) buffer.settleFirst()
            }
            const apply = Effect.fnUntraced(function* (step: Step) {
              if ("offer" in step) {
                for (let index = 0; index < step.offer; index++) {
                  const row = rows[journal.length]
                  if (row === undefined) break
                  journal.push(row)
                  buffer.offer(row)
                }
                const kept = buffer.depth() - buffer.beyond()
                expect(kept).toBeLessThanOrEqual(capacity + batchSize)
              } else if (buffer.depth() > 0) {
                const filling = yield* Effect.fork(buffer.fill)
                if (step.take === "interrupted") {
                  yield* Effect.yieldNow()
                  yield* Fiber.interrupt(filling)
                } else {
                  yield* Fiber.join(filling)
                }
                settleAll()
              }
              expect(buffer.depth()).toBe(journal.length - settled.length)
              expect(buffer.settledUpTo()).toBeLessThanOrEqual(settled.length)
            })
            yield* Effect.forEach(given, apply)
            while (buffer.depth() > 0) {
              yield* buffer.fill
              settleAll()
            }
            expect(settled).toEqual(journal.map((row) => row.seq))
            expect([buffer.beyond(), buffer.pendingSize(), buffer.settledUpTo()]).toEqual([0, 0, journal.length])
          })
          await Effect.runPromise(run)
        }),
        { numRuns: 150 }
      )
    )
)

it.effect("rows that the journal lost are passed over and counted, and hold up nothing", () =>
  Effect.gen(function* () {
    const rows = rowsOf(30)
    const buffer = yield* AuditBuffer.make({
      capacity: 10,
      batchSize: 7,
      linger: 0,
      overflow: holding(rows, new Set([12, 13, 30]))
    })
    for (const row of rows) buffer.offer(row)
    const taken: Array<number> = []
    while (buffer.depth() > 0) {
      yield* buffer.fill
      for (const piece of buffer.inHand()) taken.push(...piece.rows.map((row) => row.seq))
      while (buffer.inHand().length > 0) buffer.settleFirst()
    }
    expect(taken).toEqual(rows.map((row) => row.seq).filter((seq) => ![12, 13, 30].includes(seq)))
    expect([buffer.passedOver(), buffer.depth(), buffer.beyond()]).toEqual([3, 0, 0])
  })
)

it.effect("the memory takes rows directly again once it has caught up", () =>
  Effect.gen(function* () {
    const journal = [...rowsOf(30)]
    const buffer = yield* AuditBuffer.make({ capacity: 10, batchSize: 30, linger: 0, overflow: holding(journal) })
    for (const row of journal) buffer.offer(row)
    expect([buffer.depth(), buffer.beyond()]).toEqual([30, 20])
    for (let round = 0; round < 2; round++) {
      yield* buffer.fill
      while (buffer.inHand().length > 0) buffer.settleFirst()
    }
    const [next] = rowsOf(31).slice(30)
    if (next === undefined) throw new Error("no row")
    journal.push(next)
    buffer.offer(next)
    expect([buffer.depth(), buffer.beyond()]).toEqual([1, 0])
  })
)

it.effect("an urgent row waits for no company", () =>
  Effect.gen(function* () {
    const buffer = yield* AuditBuffer.make({ capacity: 10, batchSize: 10, linger: "1 minute" })
    const [first, second] = rowsOf(2)
    if (first === undefined || second === undefined) throw new Error("no rows")
    buffer.offer(first, true)
    // The clock of this test stands still.
    yield* buffer.fill
    expect(buffer.inHand().map((piece) => piece.rows.length)).toEqual([1])
    buffer.settleFirst()
    buffer.offer(second)
    const filling = yield* Effect.fork(buffer.fill)
    yield* Effect.yieldNow()
    expect(buffer.inHand()).toEqual([])
    yield* Fiber.interrupt(filling)
  })
)
