import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as WriteQueue from "../../../src/audit/queue/WriteQueue.ts"
import { rowsOf } from "../../support/AuditEvents.ts"

const options = { capacity: 100, batchSize: 10, linger: "20 millis" } as const
const settle = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow(), { discard: true })

const offerAll = (buffer: WriteQueue.WriteQueue, number: number) => {
  for (const row of rowsOf(number)) buffer.offer(row)
}

it.effect("a first row after idle waits for the others that are coming", () =>
  Effect.gen(function* () {
    const buffer = yield* WriteQueue.make(options)
    const filling = yield* Effect.fork(buffer.fill)
    yield* settle
    offerAll(buffer, 1)
    yield* TestClock.adjust("19 millis")
    offerAll(buffer, 3)
    expect(buffer.inFlight()).toEqual([])
    yield* TestClock.adjust("1 millis")
    yield* Fiber.join(filling)
    expect(buffer.inFlight().map((piece) => piece.rows.length)).toEqual([4])
  })
)

it.effect("a full batch waits for nothing", () =>
  Effect.gen(function* () {
    const buffer = yield* WriteQueue.make(options)
    const filling = yield* Effect.fork(buffer.fill)
    yield* settle
    offerAll(buffer, 4)
    yield* settle
    offerAll(buffer, 8)
    // The clock of this test stands still.
    yield* Fiber.join(filling)
    expect(buffer.inFlight().map((piece) => piece.rows.length)).toEqual([10])
    expect(buffer.depth()).toBe(12)
  })
)

it.effect("closing ends a wait, and what is there can still be taken", () =>
  Effect.gen(function* () {
    const buffer = yield* WriteQueue.make(options)
    const filling = yield* Effect.fork(buffer.fill)
    yield* settle
    offerAll(buffer, 2)
    yield* settle
    yield* buffer.close
    yield* Fiber.join(filling)
    expect(buffer.inFlight().map((piece) => piece.rows.length)).toEqual([2])
    expect(buffer.hasRoom()).toBe(false)
  })
)

it.effect("rows in the drain's hands still fill the buffer", () =>
  Effect.gen(function* () {
    const buffer = yield* WriteQueue.make({ ...options, capacity: 3, linger: 0 })
    offerAll(buffer, 3)
    yield* buffer.close.pipe(Effect.zipRight(buffer.fill))
    expect(buffer.depth()).toBe(3)
    buffer.replaceFirst([])
    expect([buffer.depth(), buffer.pendingSize(), buffer.oldest()]).toEqual([0, 0, undefined])
  })
)

it.effect("few but huge rows fill the buffer too", () =>
  Effect.gen(function* () {
    const buffer = yield* WriteQueue.make(options)
    const metadata = { text: "x".repeat(16_000) }
    let taken = 0
    for (const row of rowsOf(100, { event: { ...hugeEvent, metadata } })) {
      if (!buffer.hasRoom()) break
      buffer.offer(row)
      taken += 1
    }
    expect(taken).toBeLessThan(30)
    expect(buffer.pendingSize()).toBeLessThan(options.capacity * 1_024 + 20_000)
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

it.effect("a batch that is too large for one piece comes into the hand as several", () =>
  Effect.gen(function* () {
    const buffer = yield* WriteQueue.make({ ...options, linger: 0 })
    const rows = rowsOf(5).map((row) => ({ ...row, size: WriteQueue.maximumBatchChars / 2 }))
    for (const row of rows) buffer.offer(row)
    yield* buffer.fill
    expect(buffer.inFlight().map((piece) => piece.rows.length)).toEqual([2, 2, 1])
  })
)

it.effect("the oldest event is that of what was set aside, then of what is in hand, then of what waits", () =>
  Effect.gen(function* () {
    const buffer = yield* WriteQueue.make({ ...options, batchSize: 1, linger: 0 })
    for (const timestamp of [1_000, 2_000, 3_000]) {
      for (const row of rowsOf(1, { timestamp })) buffer.offer(row)
    }
    expect(buffer.oldest()).toBe(1_000)
    yield* buffer.fill
    buffer.parkFirst()
    yield* buffer.fill
    expect(buffer.oldest()).toBe(1_000)
    buffer.unpark()
    buffer.replaceFirst([])
    expect(buffer.oldest()).toBe(2_000)
    buffer.replaceFirst([])
    yield* buffer.fill
    expect(buffer.oldest()).toBe(3_000)
    buffer.replaceFirst([])
    expect(buffer.oldest()).toBeUndefined()
  })
)

it.effect("what is set aside lets the others pass, still fills the buffer, and comes back first", () =>
  Effect.gen(function* () {
    const buffer = yield* WriteQueue.make({ ...options, batchSize: 1, linger: 0 })
    const rows = rowsOf(3)
    for (const row of rows) buffer.offer(row)
    yield* buffer.fill
    buffer.parkFirst()
    yield* buffer.fill
    expect(buffer.inFlight().map((piece) => piece.rows[0])).toEqual([rows[1]])
    expect([buffer.depth(), buffer.pendingSize()]).toEqual([3, rows.reduce((sum, row) => sum + row.size, 0)])
    buffer.unpark()
    expect(buffer.inFlight().map((piece) => piece.rows[0])).toEqual([rows[0], rows[1]])
    expect(buffer.parked()).toEqual([])
    buffer.dropSettled((row) => row === rows[1])
    expect([buffer.depth(), buffer.pendingSize()]).toEqual([2, (rows[0]?.size ?? 0) + (rows[2]?.size ?? 0)])
  })
)
