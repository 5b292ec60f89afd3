import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { WriteQueue } from "../queue/WriteQueue.ts"

const firstPause = Duration.millis(50)
/** Once the queue is closed the shutdown deadline is near, so no pause is longer than this. */
const closingPause = Duration.millis(100)

/** The pauses of the writer. They end early when the queue closes, and at once when the writer gives up. */
export const make = Effect.fnUntraced(function* (queue: WriteQueue) {
  const surrender = yield* Effect.makeLatch(false)
  let gaveUp = false
  let failures = 0

  /** Runs the effect until it completes or the writer gives up. */
  const orGivenUp = (effect: Effect.Effect<unknown>) => Effect.asVoid(Effect.raceFirst(effect, surrender.await))

  const pause = (duration: Duration.Duration) =>
    Effect.suspend(() =>
      orGivenUp(
        queue.isClosed()
          ? Effect.sleep(Duration.min(duration, closingPause))
          : Effect.raceFirst(Effect.sleep(duration), queue.closed)
      )
    )

  return {
    pause,
    /** Pauses twice as long as the last time, with jitter, and at most `longest`. */
    growing: (longest: Duration.Duration) =>
      Effect.flatMap(Random.nextRange(0.5, 1), (jitter) => {
        const grown = Duration.min(Duration.times(firstPause, 2 ** Math.min(failures, 16)), longest)
        failures += 1
        return pause(Duration.times(grown, jitter))
      }),
    /** Makes the next growing pause a short one again. */
    reset: () => {
      failures = 0
    },
    /** Ends every pause from now on. */
    giveUp: Effect.suspend(() => {
      gaveUp = true
      return Effect.asVoid(surrender.open)
    }),
    gaveUp: () => gaveUp,
    orGivenUp
  }
})

export type Backoff = Effect.Effect.Success<ReturnType<typeof make>>
