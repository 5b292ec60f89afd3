import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { endedAtLimit, timerMillis, unlessEnded, withinLimit } from "../../../src/platform/os/Deadline.ts"

const limit = { duration: Duration.millis(20), onTimeout: () => "late" }

/** Work that never ends by itself, and takes a moment to stop. */
const makeStuck = () => {
  let stopped = false
  const work = Effect.onInterrupt(Effect.never, () =>
    Effect.map(Effect.sleep("50 millis"), () => {
      stopped = true
    })
  )
  return { work, hasStopped: () => stopped }
}

describe("work within a limit", () => {
  it.live("returns what the work returns, and its failure", () =>
    Effect.gen(function* () {
      for (const bounded of [withinLimit(limit), endedAtLimit(limit)]) {
        expect(yield* bounded(Effect.succeed(1))).toBe(1)
        expect(yield* bounded(Effect.delay(Effect.succeed(1), "1 millis"))).toBe(1)
        expect(yield* Effect.flip(bounded(Effect.fail("no")))).toBe("no")
        expect(Exit.isFailure(yield* Effect.exit(bounded(Effect.die("broken"))))).toBe(true)
      }
    })
  )

  it.live("is left at the limit, or waited for where its end matters, also by an uninterruptible caller", () =>
    Effect.gen(function* () {
      const left = makeStuck()
      expect(yield* Effect.flip(Effect.uninterruptible(withinLimit(limit)(left.work)))).toBe("late")
      expect(left.hasStopped()).toBe(false)
      const ended = makeStuck()
      expect(yield* Effect.flip(Effect.uninterruptible(endedAtLimit(limit)(ended.work)))).toBe("late")
      expect(ended.hasStopped()).toBe(true)
    })
  )

  it.live("ends where its caller is interrupted", () =>
    Effect.gen(function* () {
      const { hasStopped, work } = makeStuck()
      const caller = yield* Effect.fork(endedAtLimit({ ...limit, duration: Duration.infinity })(work))
      yield* Effect.sleep("5 millis")
      yield* Fiber.interrupt(caller)
      expect(hasStopped()).toBe(true)
    })
  )

  it.live("gives way to what a listener was called with, also before it began", () =>
    Effect.gen(function* () {
      const { hasStopped, work } = makeStuck()
      let listening = true
      const ended = unlessEnded<string>((end) => {
        end(Effect.fail("over"))
        return () => {
          listening = false
        }
      })
      expect(yield* Effect.flip(ended(work))).toBe("over")
      expect([hasStopped(), listening]).toEqual([true, false])
    })
  )

  it("has no limit where the duration is longer than a timer can be", () => {
    expect(timerMillis(Duration.infinity)).toBe(2 ** 31 - 1)
    expect(timerMillis(Duration.seconds(1))).toBe(1_000)
  })
})
