import * as Effect from "effect/Effect"

/** Wakes the one who waits until there are enough rows. */
export interface BatchTrigger {
  /** Completes when `enough` says so of the number that is waited for; one waits at a time. */
  readonly until: (number: number) => Effect.Effect<void>
  /** Something has changed. */
  readonly look: () => void
}

export const make = (enough: (wanted: number) => boolean): BatchTrigger => {
  let wanted = 0
  let wake: (() => void) | undefined
  return {
    until: (number) =>
      Effect.async<void>((resume) => {
        wanted = number
        if (enough(wanted)) return resume(Effect.void)
        wake = () => resume(Effect.void)
        return Effect.sync(() => {
          wake = undefined
        })
      }),
    look: () => {
      if (wake === undefined || !enough(wanted)) return
      const resume = wake
      wake = undefined
      resume()
    }
  }
}
