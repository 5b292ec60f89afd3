import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as WriteQueue from "../../../src/audit/queue/WriteQueue.ts"
import { rowsOf } from "../../support/AuditEvents.ts"

const options = { capacity: 100, batchSize: 10, linger: "20 millis" } as const
const settle = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow(), { discard: true })

const offerAll = (queue: WriteQueue.WriteQueue, number: number) => {
  for (const row of rowsOf(number)) queue.offer(row)
}

it.effect("the first row after idle time waits for more rows", () =>
  Effect.gen(function* () {
    const queue = yield* WriteQueue.make(options)
    const filling = yield* Effect.fork(queue.fill)
    yield* settle
    offerAll(queue, 1)
    yield* TestClock.adjust("19 millis")
    offerAll(queue, 3)
    expect(queue.inFlight()).toEqual([])
    yield* TestClock.adjust("1 millis")
    yield* Fiber.join(filling)
    expect(queue.inFlight().map((batch) => batch.rows.length)).toEqual([4])
  })
)

it.effect("a full batch does not wait", () =>
  Effect.gen(function* () {
    const queue = yield* WriteQueue.make(options)
    const filling = yield* Effect.fork(queue.fill)
    yield* settle
    offerAll(queue, 4)
    yield* settle
    offerAll(queue, 8)
    // The clock of this test stands still.
    yield* Fiber.join(filling)
    expect(queue.inFlight().map((batch) => batch.rows.length)).toEqual([10])
    expect(queue.depth()).toBe(12)
  })
)

it.effect("closing the queue ends a wait, and its rows can still be taken", () =>
  Effect.gen(function* () {
    const queue = yield* WriteQueue.make(options)
    const filling = yield* Effect.fork(queue.fill)
    yield* settle
    offerAll(queue, 2)
    yield* settle
    yield* queue.close
    yield* Fiber.join(filling)
    expect(queue.inFlight().map((batch) => batch.rows.length)).toEqual([2])
    expect(queue.hasRoom()).toBe(false)
  })
)

it.effect("rows in flight still fill the queue", () =>
  Effect.gen(function* () {
    const queue = yield* WriteQueue.make({ ...options, capacity: 3, linger: 0 })
    offerAll(queue, 3)
    yield* queue.close.pipe(Effect.zipRight(queue.fill))
    expect(queue.depth()).toBe(3)
    queue.replaceFirst([])
    expect([queue.depth(), queue.pendingSize(), queue.oldest()]).toEqual([0, 0, undefined])
  })
)

it.effect("few but huge rows fill the queue too", () =>
  Effect.gen(function* () {
    const queue = yield* WriteQueue.make(options)
    const metadata = { text: "x".repeat(16_000) }
    let taken = 0
    for (const row of rowsOf(100, { event: { ...hugeEvent, metadata } })) {
      if (!queue.hasRoom()) break
      queue.offer(row)
      taken += 1
    }
    expect(taken).toBeLessThan(30)
    expect(queue.pendingSize()).toBeLessThan(options.capacity * 1_024 + 20_000)
  })
)

const hugeEvent = {
  action: null,
  resource: null,
  ghostId: null,
  shellId: null,
  result: "ALLOWED",
  reason: null,
  requestId: null
} as const

it.effect("rows that are too large for one batch are put in flight as several", () =>
  Effect.gen(function* () {
    const queue = yield* WriteQueue.make({ ...options, linger: 0 })
    const rows = rowsOf(5).map((row) => ({ ...row, size: WriteQueue.maximumBatchChars / 2 }))
    for (const row of rows) queue.offer(row)
    yield* queue.fill
    expect(queue.inFlight().map((batch) => batch.rows.length)).toEqual([2, 2, 1])
  })
)

it.effect("the oldest event is the oldest of the parked rows, then of those in flight, then of those that wait", () =>
  Effect.gen(function* () {
    const queue = yield* WriteQueue.make({ ...options, batchSize: 1, linger: 0 })
    for (const timestamp of [1_000, 2_000, 3_000]) {
      for (const row of rowsOf(1, { timestamp })) queue.offer(row)
    }
    expect(queue.oldest()).toBe(1_000)
    yield* queue.fill
    queue.parkFirst()
    yield* queue.fill
    expect(queue.oldest()).toBe(1_000)
    queue.unpark()
    queue.replaceFirst([])
    expect(queue.oldest()).toBe(2_000)
    queue.replaceFirst([])
    yield* queue.fill
    expect(queue.oldest()).toBe(3_000)
    queue.replaceFirst([])
    expect(queue.oldest()).toBeUndefined()
  })
)

it.effect("what is set aside lets the others pass, still fills the queue, and comes back first", () =>
  Effect.gen(function* () {
    const queue = yield* WriteQueue.make({ ...options, batchSize: 1, linger: 0 })
    const rows = rowsOf(3)
    for (const row of rows) queue.offer(row)
    yield* queue.fill
    queue.parkFirst()
    yield* queue.fill
    expect(queue.inFlight().map((batch) => batch.rows[0])).toEqual([rows[1]])
    expect([queue.depth(), queue.pendingSize()]).toEqual([3, rows.reduce((sum, row) => sum + row.size, 0)])
    queue.unpark()
    expect(queue.inFlight().map((batch) => batch.rows[0])).toEqual([rows[0], rows[1]])
    expect(queue.parked()).toEqual([])
    queue.dropSettled((row) => row === rows[1])
    expect([queue.depth(), queue.pendingSize()]).toEqual([2, (rows[0]?.size ?? 0) + (rows[2]?.size ?? 0)])
  })
)
