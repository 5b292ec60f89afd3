import * as Effect from "effect/Effect"

/** Wakes the writer when enough rows wait. */
export interface BatchTrigger {
  /** Completes when `isEnough` accepts the number that is waited for. Only one effect waits at a time. */
  readonly until: (number: number) => Effect.Effect<void>
  /** Checks again, after something has changed. */
  readonly check: () => void
}

export const make = (isEnough: (wanted: number) => boolean): BatchTrigger => {
  let wanted = 0
  let wake: (() => void) | undefined
  return {
    until: (number) =>
      Effect.async<void>((resume) => {
        wanted = number
        if (isEnough(wanted)) return resume(Effect.void)
        wake = () => resume(Effect.void)
        return Effect.sync(() => {
          wake = undefined
        })
      }),
    check: () => {
      if (wake === undefined || !isEnough(wanted)) return
      const resume = wake
      wake = undefined
      resume()
    }
  }
}
