import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { WriteQueue } from "../queue/WriteQueue.ts"

const firstPause = Duration.millis(50)
/** Once the buffer is closed the deadline is near: no pause is longer then. */
const closingPause = Duration.millis(100)

/** How the drain waits: never longer than the buffer's end allows, and not at all once it gave up. */
export interface Backoff {
  readonly pause: (duration: Duration.Duration) => Effect.Effect<void>
  /** Twice as long as the one before, with jitter, and never longer than `longest`. */
  readonly growing: (longest: Duration.Duration) => Effect.Effect<void>
  /** The next growing pause is a short one again. */
  readonly reset: () => void
  /** Ends every pause, for good. */
  readonly giveUp: Effect.Effect<void>
  readonly gaveUp: () => boolean
  /** Ends early when the drain gives up. */
  readonly orGivenUp: (effect: Effect.Effect<unknown>) => Effect.Effect<void>
}

export const make = Effect.fnUntraced(function* (buffer: WriteQueue) {
  const surrender = yield* Effect.makeLatch(false)
  let gaveUp = false
  let failures = 0

  const orGivenUp = (effect: Effect.Effect<unknown>) => Effect.asVoid(Effect.raceFirst(effect, surrender.await))

  const pause = (duration: Duration.Duration) =>
    Effect.suspend(() =>
      orGivenUp(
        buffer.isClosed()
          ? Effect.sleep(Duration.min(duration, closingPause))
          : Effect.raceFirst(Effect.sleep(duration), buffer.closed)
      )
    )

  const pauses: Backoff = {
    pause,
    growing: (longest) =>
      Effect.flatMap(Random.nextRange(0.5, 1), (jitter) => {
        const grown = Duration.min(Duration.times(firstPause, 2 ** Math.min(failures, 16)), longest)
        failures += 1
        return pause(Duration.times(grown, jitter))
      }),
    reset: () => {
      failures = 0
    },
    giveUp: Effect.suspend(() => {
      gaveUp = true
      return Effect.asVoid(surrender.open)
    }),
    gaveUp: () => gaveUp,
    orGivenUp
  }
  return pauses
})
