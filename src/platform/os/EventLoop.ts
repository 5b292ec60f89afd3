import * as Effect from "effect/Effect"

/** Lets whatever waits in the event loop go first; Effect's own yield is a microtask, which lets no request in. */
export const yieldNow = Effect.async<void>((resume) => {
  const immediate = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})

/** A long computation that says, by yielding, where others may go first. */
export type SteppedComputation<A> = Generator<undefined, A>

/** All of its steps at once. */
export const runAtOnce = <A>(steps: SteppedComputation<A>): A => {
  while (true) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

/** Each of its steps in a turn of the event loop. */
export const runInSteps = <A>(begin: () => SteppedComputation<A>): Effect.Effect<A> =>
  Effect.suspend(() => {
    const steps = begin()
    const next: Effect.Effect<A> = Effect.suspend(() => {
      const step = steps.next()
      return step.done === true ? Effect.succeed(step.value) : Effect.zipRight(yieldNow, next)
    })
    return next
  })
