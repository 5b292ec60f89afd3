import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** Milliseconds of a monotonic clock: setting the system clock affects neither pauses nor deadlines. */
export const monotonicMillis: Effect.Effect<number> = Effect.map(Clock.currentTimeNanos, (nanos) =>
  Number(nanos / 1_000_000n)
)
