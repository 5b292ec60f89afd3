import * as Effect from "effect/Effect"

/** Wakes the writer when enough rows wait. */
export const makeBatchTrigger = (isEnough: (wanted: number) => boolean) => {
  let wanted = 0
  let wake: (() => void) | undefined
  return {
    /** Completes when `isEnough` accepts the number that is waited for. Only one effect waits at a time. */
    until: (number: number) =>
      Effect.async<void>((resume) => {
        wanted = number
        if (isEnough(wanted)) return resume(Effect.void)
        wake = () => resume(Effect.void)
        return Effect.sync(() => {
          wake = undefined
        })
      }),
    /** Checks again, after something has changed. */
    check: () => {
      if (wake === undefined || !isEnough(wanted)) return
      const resume = wake
      wake = undefined
      resume()
    }
  }
}

export type BatchTrigger = ReturnType<typeof makeBatchTrigger>

interface Waiter {
  readonly condition: () => boolean
  readonly resume: () => void
}

/** Wakes effects that wait for rows to be settled. Replaces polling of the queue. */
export const makeSettledSignal = () => {
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
    /** Completes as soon as `condition` holds: at once, or at the call of `settled` that finds it true. */
    when,
    /** Checks the conditions of all effects that wait: rows were settled, or a read has passed rows that are lost. */
    settled: () => {
      settlements += 1
      for (const waiter of waiters) {
        if (!waiter.condition()) continue
        waiters.delete(waiter)
        waiter.resume()
      }
    },
    /** Completes at the next call of `settled`. */
    next: Effect.suspend(() => {
      const before = settlements
      return when(() => settlements > before)
    })
  }
}

export type SettledSignal = ReturnType<typeof makeSettledSignal>
