import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { GuardianDatabase } from "../../src/guardian/GuardianDatabase.ts"
import { guardianRooms } from "../support/GuardianLayers.ts"
import { migratedDatabase } from "../support/TestDatabase.ts"

const roomsOnFreshDatabase = Layer.unwrapEffect(
  Effect.map(migratedDatabase, (url) => Layer.provide(GuardianDatabase.layer, guardianRooms(url)))
)

const four = Array.from({ length: 4 }, (_, index) => index)

describe("transactions of the guardian", () => {
  it.scopedLive("end also where the caller must not be interrupted", () =>
    Effect.gen(function* () {
      const { transaction } = yield* GuardianDatabase
      const asked = Effect.uninterruptible(transaction(({ query }) => query("select 1 as one")))
      expect(
        (yield* Effect.timeoutFail(Effect.disconnect(asked), { duration: "5 seconds", onTimeout: () => "never" })).rows
      ).toEqual([{ one: 1 }])
    }).pipe(Effect.provide(roomsOnFreshDatabase))
  )

  it.scopedLive("hold four sessions together at the most, however many are asked for", () =>
    Effect.gen(function* () {
      const { transaction } = yield* GuardianDatabase
      let open = 0
      let most = 0
      const asked = Array.from({ length: 40 }, (_, index) => index)
      const pids = yield* Effect.forEach(
        asked,
        () =>
          transaction(({ query }) =>
            Effect.gen(function* () {
              most = Math.max(most, ++open)
              const { rows } = yield* query("select pg_backend_pid() as pid, pg_sleep(0.02)")
              open--
              return rows[0]?.["pid"]
            })
          ),
        { concurrency: "unbounded" }
      )
      expect(most).toBe(4)
      expect(new Set(pids).size).toBe(asked.length)
    }).pipe(Effect.provide(roomsOnFreshDatabase))
  )

  it.scopedLive("that never had their turn are refused, have done nothing, and delay no later one", () =>
    Effect.gen(function* () {
      const { transaction } = yield* GuardianDatabase
      const held = yield* Effect.fork(
        Effect.forEach(four, () => transaction(() => Effect.sleep("6 seconds")), { concurrency: 4, discard: true })
      )
      yield* Effect.sleep("300 millis")
      let done = 0
      const late = yield* Effect.forEach(
        four,
        () => Effect.flip(Effect.uninterruptible(transaction(() => Effect.sync(() => done++)))),
        {
          concurrency: 4
        }
      )
      expect(late.map(({ message }) => message)).toEqual(
        four.map(() => expect.stringContaining("others waited for it"))
      )
      expect(done).toBe(0)
      yield* Fiber.join(held)
      yield* Effect.forEach(four, () => transaction(() => Effect.sync(() => done++)), { concurrency: 4 })
      expect(done).toBe(4)
    }).pipe(Effect.provide(roomsOnFreshDatabase))
  )

  it.scopedLive("are done to their end where the caller must not be interrupted, and not begun by one that left", () =>
    Effect.gen(function* () {
      const { transaction } = yield* GuardianDatabase
      let done = 0
      const slow = transaction(() =>
        Effect.zipRight(
          Effect.sleep("500 millis"),
          Effect.sync(() => done++)
        )
      )
      const kept = yield* Effect.fork(Effect.uninterruptible(slow))
      yield* Effect.sleep("250 millis")
      yield* Fiber.interrupt(kept)
      expect(done).toBe(1)
      const left = yield* Effect.fork(slow)
      yield* Effect.sleep("250 millis")
      yield* Fiber.interrupt(left)
      yield* Effect.sleep("500 millis")
      expect(done).toBe(1)
    }).pipe(Effect.provide(roomsOnFreshDatabase))
  )
})
