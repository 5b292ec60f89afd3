import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { BacklogSource } from "../../../src/audit/queue/JournalBacklog.ts"
import { makeSignal } from "../../../src/audit/queue/QueueSignals.ts"
import * as WriteQueue from "../../../src/audit/queue/WriteQueue.ts"
import { rowsOf } from "../../support/AuditEvents.ts"

const turns = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow(), { discard: true })

/** Forks a wait, and returns an effect that says whether it has ended. */
const watch = (wait: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(wait)
    yield* turns
    return Effect.zipRight(turns, Effect.map(Fiber.poll(fiber), Option.isSome))
  })

it.effect("a condition that is already true needs no settlement", () => makeSignal().when(() => true))

it.effect("a settlement before the wait begins is not missed", () =>
  Effect.gen(function* () {
    const signal = makeSignal()
    let isDone = false
    const wait = signal.when(() => isDone)
    isDone = true
    signal.check()
    yield* wait
  })
)

it.effect("a wait goes on after settlements that leave its condition false", () =>
  Effect.gen(function* () {
    const signal = makeSignal()
    let settled = 0
    const isOver = yield* watch(signal.when(() => settled === 2))
    for (const expected of [false, true]) {
      settled += 1
      signal.check()
      expect(yield* isOver).toBe(expected)
    }
  })
)

it.effect("an interrupted wait is not checked again", () =>
  Effect.gen(function* () {
    const signal = makeSignal()
    let checks = 0
    const fiber = yield* Effect.fork(
      signal.when(() => {
        checks += 1
        return false
      })
    )
    yield* turns
    signal.check()
    expect(checks).toBe(2)
    yield* Fiber.interrupt(fiber)
    signal.check()
    expect(checks).toBe(2)
  })
)

it.effect("the next settlement is one after the wait began", () =>
  Effect.gen(function* () {
    const signal = makeSignal()
    signal.check()
    const isOver = yield* watch(signal.next)
    expect(yield* isOver).toBe(false)
    signal.check()
    expect(yield* isOver).toBe(true)
  })
)

const options = { capacity: 1, batchSize: 10, linger: 0 } as const

/** A backlog whose reads return these rows; the last read has caught up. */
const reading = (reads: ReadonlyArray<BacklogRead>): BacklogSource => {
  let next = 0
  const read = Effect.sync(() => {
    const { rows, unreadable } = reads[next] ?? { rows: [], unreadable: 0 }
    next += 1
    return { rows, unreadable, caughtUp: next >= reads.length, certain: true }
  })
  return { pending: 0, start: 0, readAfter: () => ({ next: () => read }) }
}
type BacklogRead = { readonly rows: ReturnType<typeof rowsOf>; readonly unreadable: number }

it.effect("a queue whose last rows cannot be read is empty", () =>
  Effect.gen(function* () {
    const rows = rowsOf(3)
    const queue = yield* WriteQueue.make({ ...options, backlog: reading([{ rows: [], unreadable: 2 }]) })
    for (const row of rows) queue.offer(row)
    yield* queue.fill
    queue.settleFirst()
    const isEmpty = yield* watch(queue.awaitEmpty)
    expect(yield* isEmpty).toBe(false)
    yield* queue.fill
    expect([queue.depth(), queue.unreadableCount()]).toEqual([0, 2])
    expect(yield* isEmpty).toBe(true)
  })
)

it.effect("a wait for a damaged row ends when a read has passed it, before the rows of that read are settled", () =>
  Effect.gen(function* () {
    const rows = rowsOf(5)
    // Numbers 2 and 3 are damaged.
    const backlog = reading([
      { rows: rows.slice(3, 4), unreadable: 0 },
      { rows: rows.slice(4), unreadable: 0 }
    ])
    const queue = yield* WriteQueue.make({ ...options, backlog })
    for (const row of rows) queue.offer(row)
    yield* queue.fill
    queue.settleFirst()
    const isSettled = yield* watch(queue.awaitSettled(3))
    expect(yield* isSettled).toBe(false)
    yield* queue.fill
    expect(queue.inFlight().flatMap((batch) => batch.rows.map(({ seq }) => seq))).toEqual([4])
    expect(yield* isSettled).toBe(true)
  })
)

it.effect("rows that turn out to be settled end the waits for them, and only for them", () =>
  Effect.gen(function* () {
    const queue = yield* WriteQueue.make({ ...options, capacity: 10 })
    for (const row of rowsOf(2)) queue.offer(row)
    yield* queue.fill
    const [isFirstSettled, isSecondSettled] = yield* Effect.all([
      watch(queue.awaitSettled(1)),
      watch(queue.awaitSettled(2))
    ])
    queue.dropSettled(({ seq }) => seq === 2)
    expect(yield* isSecondSettled).toBe(true)
    expect(yield* isFirstSettled).toBe(false)
    queue.dropSettled(() => true)
    expect(yield* isFirstSettled).toBe(true)
  })
)
