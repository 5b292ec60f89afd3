import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { DatabaseError } from "../../../src/platform/postgres/DatabaseError.ts"
import { History, type NewHistoryRow } from "../../../src/router/history/History.ts"
import { HistoryWriter, lost, standardOptions } from "../../../src/router/history/HistoryWriter.ts"
import { row } from "../../support/router/HistoryRow.ts"

const away = new DatabaseError({ phase: "statement", reason: "away" })
const refusing = new DatabaseError({ phase: "statement", reason: "no", sqlstate: "23514" })

/** A table that does what it is told, under the writer that is tested. */
const writing = (
  append: (rows: ReadonlyArray<NewHistoryRow>) => Effect.Effect<void, DatabaseError>,
  capacity = 10_000
) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const history = Layer.succeed(History, { append, read: () => Effect.succeed({ rows: [], hasMore: false }) })
    const writer = HistoryWriter.layer({ ...standardOptions, capacity, endWithin: "5 seconds" })
    const context = yield* Layer.buildWithScope(Layer.provide(writer, history), scope)
    const { write } = yield* Effect.provide(HistoryWriter, context)
    return { write, end: Scope.close(scope, Exit.void) }
  })

const lostSince = Effect.map(
  Metric.value(lost),
  ({ count }) =>
    () =>
      Effect.map(Metric.value(lost), (now) => now.count - count)
)

describe("HistoryWriter", () => {
  it.effect("the writer writes waiting rows before its end", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const { end, write } = yield* writing((rows) =>
        Effect.sync(() => void seen.push(...rows.map(({ requestId }) => requestId)))
      )
      for (const id of ["a", "b", "c"]) yield* write([row(id), row(id)])
      yield* end
      expect(seen).toEqual(["a", "a", "b", "b", "c", "c"])
    })
  )

  it.effect("the writer retries while the database is unavailable, then loses the rows and counts them", () =>
    Effect.gen(function* () {
      const since = yield* lostSince
      let attempts = 0
      const { write } = yield* writing(() =>
        Effect.suspend(() => {
          attempts += 1
          return attempts <= 2 ? away : Effect.void
        })
      )
      yield* write([row("a")])
      yield* TestClock.adjust("1 minute")
      expect([attempts, yield* since()]).toEqual([3, 0])
      const never = yield* writing(() => away)
      yield* never.write([row("a"), row("a")])
      yield* TestClock.adjust("1 minute")
      expect(yield* since()).toBe(2)
    })
  )

  it.effect("a row that the table refuses does not lose other requests' rows", () =>
    Effect.gen(function* () {
      const since = yield* lostSince
      const seen: Array<string> = []
      const { end, write } = yield* writing((rows) =>
        rows.some(({ requestId }) => requestId === "bad")
          ? refusing
          : Effect.sync(() => void seen.push(...rows.map(({ requestId }) => requestId)))
      )
      for (const id of ["a", "bad", "b"]) yield* write([row(id)])
      yield* end
      expect(seen).toEqual(["a", "b"])
      expect(yield* since()).toBe(1)
    })
  )

  it.effect("the waiting rows stay within the capacity, by the weight of their content", () =>
    Effect.gen(function* () {
      const since = yield* lostSince
      const { write } = yield* writing(() => Effect.never, 10_000)
      yield* write([row("a", "x".repeat(9_000))])
      yield* write([row("b", "x".repeat(9_000))])
      expect(yield* since()).toBe(1)
      yield* write([row("c")])
      expect(yield* since()).toBe(1)
    })
  )

  it.effect("a request beyond the capacity is counted and logged with its size, and the next one is written", () =>
    Effect.gen(function* () {
      const since = yield* lostSince
      const logged: Array<string> = []
      const seen: Array<string> = []
      const { end, write } = yield* writing(
        (rows) => Effect.sync(() => void seen.push(...rows.map(({ requestId }) => requestId))),
        10_000
      )
      const logger = Logger.make(({ message }) => void logged.push(String(message)))
      yield* write([row("large", "x".repeat(20_000))]).pipe(
        Effect.provide(Logger.replace(Logger.defaultLogger, logger))
      )
      yield* write([row("next")])
      yield* end
      expect(yield* since()).toBe(1)
      expect(logged).toEqual([
        "1 message is not in the history: the request has 20300 characters, and at most 10000 may wait"
      ])
      expect(seen).toEqual(["next"])
    })
  )

  it.effect("the writer goes on after an unexpected failure, and counts the rows that it cost", () =>
    Effect.gen(function* () {
      const since = yield* lostSince
      const seen: Array<string> = []
      const { end, write } = yield* writing((rows) =>
        rows.some(({ requestId }) => requestId === "bad")
          ? Effect.die(new Error("unforeseen"))
          : Effect.sync(() => void seen.push(...rows.map(({ requestId }) => requestId)))
      )
      yield* write([row("bad"), row("bad")])
      yield* TestClock.adjust("1 second")
      yield* write([row("a")])
      yield* end
      expect(seen).toEqual(["a"])
      expect(yield* since()).toBe(2)
    })
  )

  it.effect("the writer counts the rows that its end left unwritten", () =>
    Effect.gen(function* () {
      const since = yield* lostSince
      const { end, write } = yield* writing(() => Effect.never, 10_000_000)
      for (let i = 0; i < 1_200; i++) yield* write([row("a")])
      yield* TestClock.adjust("1 second")
      yield* write([row("b")])
      const ending = yield* Effect.fork(end)
      yield* TestClock.adjust("6 seconds")
      yield* Fiber.join(ending)
      expect(yield* since()).toBe(1_201)
    })
  )

  it.effect("a statement holds no more rows than its limits", () =>
    Effect.gen(function* () {
      const sizes: Array<number> = []
      const { end, write } = yield* writing((rows) => Effect.sync(() => void sizes.push(rows.length)), 40_000_000)
      for (let i = 0; i < 10; i++) yield* write([row("a", "x".repeat(1_000_000))])
      yield* end
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(10)
      expect(Math.max(...sizes)).toBeLessThanOrEqual(4)
    })
  )
})
