import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { inOwnFiber } from "../../../src/platform/os/OwnFiber.ts"

it.effect("a loop that is interrupted while a finalizer of its scope runs ends once the finalizer has run", () =>
  Effect.gen(function* () {
    const [closing, close] = [yield* Effect.makeLatch(false), yield* Effect.makeLatch(false)]
    const wentOn = yield* Effect.makeLatch(false)
    let closed = false
    const scoped = Effect.gen(function* () {
      yield* Effect.acquireRelease(Effect.void, () =>
        Effect.zipRight(closing.open, close.await).pipe(
          Effect.zipRight(
            Effect.sync(() => {
              closed = true
            })
          )
        )
      )
      // Released first: only a later finalizer of the same fiber forgets an interruption.
      yield* Effect.acquireRelease(Effect.void, () => Effect.void)
    }).pipe(Effect.scoped)
    const loop = yield* Effect.fork(Effect.zipRight(inOwnFiber(scoped), Effect.zipRight(wentOn.open, Effect.never)))
    yield* closing.await
    yield* Fiber.interruptFork(loop)
    yield* Effect.yieldNow()
    yield* close.open
    const end = Effect.zipRight(Fiber.await(loop), Effect.succeed("ended"))
    expect(yield* Effect.raceFirst(end, Effect.as(wentOn.await, "went on"))).toBe("ended")
    expect(closed).toBe(true)
  })
)

it.effect("the result and the failure are the effect's own", () =>
  Effect.gen(function* () {
    expect(yield* inOwnFiber(Effect.succeed(1))).toBe(1)
    expect(yield* Effect.flip(inOwnFiber(Effect.fail("broken")))).toBe("broken")
  })
)
