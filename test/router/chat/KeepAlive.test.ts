import { expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { vi } from "vitest"
import { orWaiting } from "../../../src/router/chat/KeepAlive.ts"

it.scopedLive("a wait that timed out leaves no observer on the work", () =>
  Effect.gen(function* () {
    const added = vi.fn()
    const removed = vi.fn()
    const work = Effect.withFiberRuntime<never>((fiber) => {
      const { addObserver, removeObserver } = fiber
      vi.spyOn(fiber, "addObserver").mockImplementation((observer) => {
        added(observer)
        addObserver.call(fiber, observer)
      })
      vi.spyOn(fiber, "removeObserver").mockImplementation((observer) => {
        removed(observer)
        removeObserver.call(fiber, observer)
      })
      return Effect.never
    })
    const progress = yield* orWaiting(Duration.millis(5))(work)
    if (progress._tag !== "Waiting") throw new Error("the work does not end")
    yield* Stream.runDrain(Stream.take(progress.waiting, 4))
    expect(added.mock.calls.length).toBeGreaterThanOrEqual(3)
    for (const [observer] of added.mock.calls) expect(removed).toHaveBeenCalledWith(observer)
  })
)
