import * as Data from "effect/Data"

/** When a peer is not asked for a while, and when it is tried again. */
export interface BreakerOptions {
  /** Failures in a row that open it. */
  readonly consecutive: number
  /** So many failures among the last `window` calls open it too: a peer that answers now and then is no peer either. */
  readonly failures: number
  /** At most 30. */
  readonly window: number
  readonly openMillis: number
}

/**
 * - `Closed`: every call goes out. `recent` has a bit for each of the last calls, 1 for a failure, the newest lowest.
 * - `Open`: no call goes out before `until`.
 * - `HalfOpen`: one call is out to see whether the peer is back; nobody else goes.
 *
 * `epoch` counts the changes between them: what became of a call that was let out before the last change says nothing about now.
 */
export type Breaker = Data.TaggedEnum<{
  Closed: { readonly epoch: number; readonly consecutive: number; readonly recent: number }
  Open: { readonly epoch: number; readonly until: number }
  HalfOpen: { readonly epoch: number }
}>

export const { Closed, HalfOpen, Open } = Data.taggedEnum<Breaker>()

export const initial: Breaker = Closed({ epoch: 0, consecutive: 0, recent: 0 })

/** `abandoned`: the caller left before the peer could answer. */
export type Outcome = "answered" | "failed" | "abandoned"

/** Whether a call may go out at `now` (milliseconds), and the state after it did. */
export const admit = (breaker: Breaker, now: number): { readonly admitted: boolean; readonly next: Breaker } => {
  switch (breaker._tag) {
    case "Closed":
      return { admitted: true, next: breaker }
    case "Open":
      return now < breaker.until
        ? { admitted: false, next: breaker }
        : { admitted: true, next: HalfOpen({ epoch: breaker.epoch + 1 }) }
    case "HalfOpen":
      return { admitted: false, next: breaker }
  }
}

const countOnes = (bits: number): number => {
  let count = 0
  for (let rest = bits; rest !== 0; rest &= rest - 1) count += 1
  return count
}

/** The state after a call, which was let out in `epoch`, came back at `now`. */
export const settle = (
  breaker: Breaker,
  epoch: number,
  outcome: Outcome,
  now: number,
  options: BreakerOptions
): Breaker => {
  if (breaker.epoch !== epoch || breaker._tag === "Open") return breaker
  const open = (until: number) => Open({ epoch: epoch + 1, until })
  if (breaker._tag === "HalfOpen") {
    if (outcome === "answered") return Closed({ epoch: epoch + 1, consecutive: 0, recent: 0 })
    // A probe that nobody waited for says nothing: the next call is the probe.
    return open(outcome === "abandoned" ? now : now + options.openMillis)
  }
  if (outcome === "abandoned") return breaker
  const failed = outcome === "failed"
  const consecutive = failed ? breaker.consecutive + 1 : 0
  const recent = ((breaker.recent << 1) | (failed ? 1 : 0)) & (2 ** options.window - 1)
  return consecutive >= options.consecutive || countOnes(recent) >= options.failures
    ? open(now + options.openMillis)
    : Closed({ epoch, consecutive, recent })
}
