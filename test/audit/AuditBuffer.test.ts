import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as AuditBuffer from "../../src/audit/AuditBuffer.ts"
import { rowsOf } from "./Events.ts"

const options = { capacity: 100, batchSize: 10, linger: "20 millis" } as const
const settle = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow(), { discard: true })

const offerAll = (buffer: AuditBuffer.AuditBuffer, number: number) => {
  for (const row of rowsOf(number)) buffer.offer(row)
}

it.effect("a first row after idle waits for the others that are coming", () =>
  Effect.gen(function* () {
    const buffer = yield* AuditBuffer.make(options)
    const filling = yield* Effect.fork(buffer.fill)
    yield* settle
    offerAll(buffer, 1)
    yield* TestClock.adjust("19 millis")
    offerAll(buffer, 3)
    expect(buffer.inHand()).toEqual([])
    yield* TestClock.adjust("1 millis")
    yield* Fiber.join(filling)
    expect(buffer.inHand().map((piece) => piece.rows.length)).toEqual([4])
  })
)

it.effect("a full batch waits for nothing", () =>
  Effect.gen(function* () {
    const buffer = yield* AuditBuffer.make(options)
    const filling = yield* Effect.fork(buffer.fill)
    yield* settle
    offerAll(buffer, 4)
    yield* settle
    offerAll(buffer, 8)
    // The clock of this test stands still.
    yield* Fiber.join(filling)
    expect(buffer.inHand().map((piece) => piece.rows.length)).toEqual([10])
    expect(buffer.depth()).toBe(12)
  })
)

it.effect("closing ends a wait, and what is there can still be taken", () =>
  Effect.gen(function* () {
    const buffer = yield* AuditBuffer.make(options)
    const filling = yield* Effect.fork(buffer.fill)
    yield* settle
    offerAll(buffer, 2)
    yield* settle
    yield* buffer.close
    yield* Fiber.join(filling)
    expect(buffer.inHand().map((piece) => piece.rows.length)).toEqual([2])
    expect(buffer.hasRoom()).toBe(false)
  })
)

it.effect("rows in the drain's hands still fill the buffer", () =>
  Effect.gen(function* () {
    const buffer = yield* AuditBuffer.make({ ...options, capacity: 3, linger: 0 })
    offerAll(buffer, 3)
    yield* buffer.close.pipe(Effect.zipRight(buffer.fill))
    expect(buffer.depth()).toBe(3)
    buffer.replaceFirst([])
    expect([buffer.depth(), buffer.pendingSize(), buffer.oldest()]).toEqual([0, 0, undefined])
  })
)

it.effect("few but huge rows fill the buffer too", () =>
  Effect.gen(function* () {
    const buffer = yield* AuditBuffer.make(options)
    const metadata = { text: "x".repeat(16_000) }
    let taken = 0
    for (const row of rowsOf(100, { event: { ...hugeEvent, metadata } })) {
      if (!buffer.hasRoom()) break
      buffer.offer(row)
      taken += 1
    }
    expect(taken).toBeLessThan(10)
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

it.prop(
  "cutting by size keeps every row, in order, and no piece but a lone row's is too large",
  [FastCheck.array(FastCheck.integer({ min: 0, max: 40 }), { maxLength: 60 })],
  ([sizes]) => {
    const rows = rowsOf(sizes.length).map((row, index) => ({ ...row, size: sizes[index] ?? 0 }))
    const pieces = AuditBuffer.piecesOf(rows, 50)
    expect(pieces.flatMap((piece) => piece.rows)).toEqual(rows)
    for (const piece of pieces) {
      expect(piece.rows.length === 1 || piece.rows.reduce((sum, row) => sum + row.size, 0) <= 50).toBe(true)
    }
  }
)
