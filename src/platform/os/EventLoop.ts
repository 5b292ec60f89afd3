import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** Yields to the event loop. Effect's own yield is a microtask, which lets no request in. */
export const yieldNow = Effect.async<void>((resume) => {
  const immediate = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})

/** A long computation that yields where other work of the process may run. */
export type SteppedComputation<A> = Generator<undefined, A>

export const runAtOnce = <A>(steps: SteppedComputation<A>): A => {
  while (true) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

/** Runs it with a turn of the event loop between its steps. */
export const runInSteps = <A>(begin: () => SteppedComputation<A>): Effect.Effect<A> =>
  Effect.suspend(() => {
    const steps = begin()
    const next: Effect.Effect<A> = Effect.suspend(() => {
      const step = steps.next()
      return step.done === true ? Effect.succeed(step.value) : Effect.zipRight(yieldNow, next)
    })
    return next
  })

/** Milliseconds of a monotonic clock: setting the system clock affects neither pauses nor deadlines. */
export const monotonicMillis: Effect.Effect<number> = Effect.map(Clock.currentTimeNanos, (nanos) =>
  Number(nanos / 1_000_000n)
)
