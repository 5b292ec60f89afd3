import * as Effect from "effect/Effect"

interface Waiter {
  readonly condition: () => boolean
  readonly resume: () => void
}

/** Wakes effects that wait for a condition of the queue. Replaces polling. */
export const makeSignal = () => {
  const waiters = new Set<Waiter>()
  let checks = 0

  const when = (condition: () => boolean) =>
    Effect.async<void>((resume) => {
      if (condition()) return resume(Effect.void)
      const waiter: Waiter = { condition, resume: () => resume(Effect.void) }
      waiters.add(waiter)
      return Effect.sync(() => waiters.delete(waiter))
    })

  return {
    /** Completes as soon as `condition` holds: at once, or at the call of `check` that finds it true. */
    when,
    /** Checks the conditions of all effects that wait, after something has changed. */
    check: () => {
      checks += 1
      if (waiters.size === 0) return
      for (const waiter of waiters) {
        if (!waiter.condition()) continue
        waiters.delete(waiter)
        waiter.resume()
      }
    },
    /** Completes at the next call of `check`. */
    next: Effect.suspend(() => {
      const before = checks
      return when(() => checks > before)
    })
  }
}

export type Signal = ReturnType<typeof makeSignal>
