import * as Effect from "effect/Effect"

/** Wakes effects that wait for rows to be settled. Replaces polling of the queue. */
export interface SettledSignal {
  /** Completes as soon as `condition` holds: at once, or after a settlement that makes it true. */
  readonly when: (condition: () => boolean) => Effect.Effect<void>
  /** Reports a settlement: checks the conditions of all effects that wait. */
  readonly settled: () => void
  /** Completes at the next settlement. */
  readonly next: Effect.Effect<void>
}

interface Waiter {
  readonly condition: () => boolean
  readonly resume: () => void
}

export const make = (): SettledSignal => {
  const waiters = new Set<Waiter>()
  let settlements = 0

  const when = (condition: () => boolean) =>
    Effect.async<void>((resume) => {
      if (condition()) return resume(Effect.void)
      const waiter: Waiter = { condition, resume: () => resume(Effect.void) }
      waiters.add(waiter)
      return Effect.sync(() => waiters.delete(waiter))
    })

  return {
    when,
    settled: () => {
      settlements += 1
      for (const waiter of waiters) {
        if (!waiter.condition()) continue
        waiters.delete(waiter)
        waiter.resume()
      }
    },
    next: Effect.suspend(() => {
      const before = settlements
      return when(() => settlements > before)
    })
  }
}
