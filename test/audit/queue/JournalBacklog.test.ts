import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import { canonicalJson, type HashedRow } from "../../../src/audit/encoding/AuditRow.ts"
import type { BacklogSource } from "../../../src/audit/queue/JournalBacklog.ts"
import { backlogOf, backlogOfOrphan } from "../../../src/audit/queue/JournalBacklog.ts"
import * as WriteQueue from "../../../src/audit/queue/WriteQueue.ts"
import { rowsOf } from "../../support/AuditEvents.ts"
import { adopted, journalFolder, live } from "../../support/JournalFixture.ts"

/** A journal in memory: holds each row, and reads back what it is asked for, a turn of the event loop later. */
const holding = (journal: ReadonlyArray<HashedRow>, damaged: ReadonlySet<number> = new Set()): BacklogSource => ({
  pending: 0,
  start: 0,
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
          return { rows, unreadable: found.length - rows.length, caughtUp, certain: true }
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
  "each row leaves the queue once, in order, from bounded memory, whatever is offered, taken and interrupted",
  () =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(steps, FastCheck.integer({ min: 1, max: 30 }), async (given, batchSize) => {
          const rows = rowsOf(1_700)
          const journal: Array<HashedRow> = []
          const settled: Array<number> = []
          const run = Effect.gen(function* () {
            const queue = yield* WriteQueue.make({
              capacity,
              batchSize,
              linger: 0,
              backlog: holding(journal),
              onSettled: (rows) => settled.push(...rows.map((row) => row.seq))
            })
            const settleAll = () => {
              while (queue.inFlight().length > 0) queue.settleFirst()
            }
            const apply = Effect.fnUntraced(function* (step: Step) {
              if ("offer" in step) {
                for (let index = 0; index < step.offer; index++) {
                  const row = rows[journal.length]
                  if (row === undefined) break
                  journal.push(row)
                  queue.offer(row)
                }
                const kept = queue.depth() - queue.spilledCount()
                expect(kept).toBeLessThanOrEqual(capacity + batchSize)
              } else if (queue.depth() > 0) {
                const filling = yield* Effect.fork(queue.fill)
                if (step.take === "interrupted") {
                  yield* Effect.yieldNow()
                  yield* Fiber.interrupt(filling)
                } else {
                  yield* Fiber.join(filling)
                }
                settleAll()
              }
              expect(queue.depth()).toBe(journal.length - settled.length)
              expect(queue.settledUpTo()).toBeLessThanOrEqual(settled.length)
            })
            yield* Effect.forEach(given, apply)
            while (queue.depth() > 0) {
              yield* queue.fill
              settleAll()
            }
            expect(settled).toEqual(journal.map((row) => row.seq))
            expect([queue.spilledCount(), queue.pendingSize(), queue.settledUpTo()]).toEqual([0, 0, journal.length])
          })
          await Effect.runPromise(run)
        }),
        { numRuns: 150 }
      )
    )
)

it.effect("rows that the journal lost are counted and skipped, and delay no other row", () =>
  Effect.gen(function* () {
    const rows = rowsOf(30)
    const queue = yield* WriteQueue.make({
      capacity: 10,
      batchSize: 7,
      linger: 0,
      backlog: holding(rows, new Set([12, 13, 30]))
    })
    for (const row of rows) queue.offer(row)
    const taken: Array<number> = []
    while (queue.depth() > 0) {
      yield* queue.fill
      for (const batch of queue.inFlight()) taken.push(...batch.rows.map((row) => row.seq))
      while (queue.inFlight().length > 0) queue.settleFirst()
    }
    expect(taken).toEqual(rows.map((row) => row.seq).filter((seq) => ![12, 13, 30].includes(seq)))
    expect([queue.unreadableCount(), queue.depth(), queue.spilledCount()]).toEqual([3, 0, 0])
  })
)

it.effect("the memory takes rows directly again once it has caught up", () =>
  Effect.gen(function* () {
    const journal = [...rowsOf(30)]
    const queue = yield* WriteQueue.make({ capacity: 10, batchSize: 30, linger: 0, backlog: holding(journal) })
    for (const row of journal) queue.offer(row)
    expect([queue.depth(), queue.spilledCount()]).toEqual([30, 20])
    for (let round = 0; round < 2; round++) {
      yield* queue.fill
      while (queue.inFlight().length > 0) queue.settleFirst()
    }
    const [next] = rowsOf(31).slice(30)
    if (next === undefined) throw new Error("no row")
    journal.push(next)
    queue.offer(next)
    expect([queue.depth(), queue.spilledCount()]).toEqual([1, 0])
  })
)

it.effect("an urgent row waits for no company", () =>
  Effect.gen(function* () {
    const queue = yield* WriteQueue.make({ capacity: 10, batchSize: 10, linger: "1 minute" })
    const [first, second] = rowsOf(2)
    if (first === undefined || second === undefined) throw new Error("no rows")
    queue.offer(first, true)
    // The clock of this test stands still.
    yield* queue.fill
    expect(queue.inFlight().map((batch) => batch.rows.length)).toEqual([1])
    queue.settleFirst()
    queue.offer(second)
    const filling = yield* Effect.fork(queue.fill)
    yield* Effect.yieldNow()
    expect(queue.inFlight()).toEqual([])
    yield* Fiber.interrupt(filling)
  })
)

it.scopedLive("an intact record that is not an event is kept in the quarantine, and later records are read", () =>
  Effect.gen(function* () {
    const directory = yield* journalFolder
    const { die, journal } = yield* live({ directory })
    const strange = JSON.stringify({ of: "a later program" })
    const source = Path.basename(journal.path)
    for (const row of rowsOf(3, { source })) {
      journal.append(row.seq, row.seq === 2 ? strange : canonicalJson(row))
    }
    const kept = () =>
      Effect.promise(async () => {
        const folder = Path.join(directory, "quarantine", source)
        const names = await Fs.readdir(folder)
        return Promise.all(names.map((name) => Fs.readFile(Path.join(folder, name), "utf8")))
      })
    const living = yield* backlogOf(journal).readAfter(0).next(10)
    expect(living).toMatchObject({ rows: [{ seq: 1 }, { seq: 3 }], unreadable: 1 })
    expect(yield* kept()).toEqual([strange])
    expect(journal.status()).toMatchObject({ pendingFrames: 2, quarantined: 1 })
    yield* die
    const { dead } = yield* adopted(journal.path)
    yield* backlogOfOrphan(dead, 0).readAfter(0).next(10)
    expect(yield* dead.remove).toBe(true)
    expect(yield* kept()).toEqual([strange])
  })
)
