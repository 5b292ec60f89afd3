import * as Data from "effect/Data"

/**
 * Whether a provider may be asked. Times are milliseconds of one clock; `times` are its openings since it last gave a whole answer.
 *
 * `epoch` counts the changes between the three, but that of a probe whose stream begins: what became of a call that was let in
 * before the last change says nothing about now.
 */
export type CoolDown = Data.TaggedEnum<{
  /** It may; `failures` in a row so far. */
  Closed: { readonly epoch: number; readonly failures: number; readonly times: number }
  /** It may not before `until`. */
  Open: { readonly epoch: number; readonly until: number; readonly times: number }
  /** One request finds out whether it is back. The others stay away until that is known, but not for ever: at `until` one more tries. */
  Probing: { readonly epoch: number; readonly until: number; readonly times: number }
}>
export const CoolDown = Data.taggedEnum<CoolDown>()

export const fresh: CoolDown = CoolDown.Closed({ epoch: 0, failures: 0, times: 0 })

export interface CoolDownRules {
  /** Failures in a row that open it. */
  readonly threshold: number
  readonly firstPauseMillis: number
  /** Pauses double up to this. */
  readonly longestPauseMillis: number
  /** How long the others wait for a probe, whose answer may take minutes. */
  readonly probeMillis: number
}

export const standardRules: CoolDownRules = {
  threshold: 3,
  firstPauseMillis: 2_000,
  longestPauseMillis: 60_000,
  probeMillis: 15_000
}

/** How long others are told to wait while a probe is out. */
const retryMillis = 1_000

export type Admission =
  | { readonly admitted: true; readonly next: CoolDown }
  | { readonly admitted: false; readonly next: CoolDown; readonly retryAfterMillis: number }

/** Asks to pass. Whoever is admitted tells by `settle` what became of it, with the epoch of the state after it was. */
export const admit = (rules: CoolDownRules, state: CoolDown, now: number): Admission => {
  if (state._tag === "Closed") return { admitted: true, next: state }
  if (now < state.until) {
    const retryAfterMillis = state._tag === "Open" ? state.until - now : retryMillis
    return { admitted: false, next: state, retryAfterMillis }
  }
  const epoch = state._tag === "Open" ? state.epoch + 1 : state.epoch
  return { admitted: true, next: CoolDown.Probing({ epoch, until: now + rules.probeMillis, times: state.times }) }
}

/**
 * What became of a call.
 *
 * - `began`: its stream has begun. That it ends is not said, so it forgives no failure, but a probe has found out enough.
 * - `answered`: its answer is whole.
 * - `abandoned`: the client left before anybody could know.
 */
export type CallOutcome = "began" | "answered" | "failed" | "abandoned"

/** What a call, which was let in in `epoch`, means for the next one. */
export const settle = (
  rules: CoolDownRules,
  state: CoolDown,
  epoch: number,
  outcome: CallOutcome,
  now: number
): CoolDown => {
  if (state.epoch !== epoch || state._tag === "Open") return state
  const probed = state._tag === "Probing"
  switch (outcome) {
    case "answered":
      return CoolDown.Closed({ epoch: probed ? epoch + 1 : epoch, failures: 0, times: 0 })
    case "began":
      // The epoch stays: the end of this same stream is still to be told.
      return probed ? CoolDown.Closed({ epoch, failures: rules.threshold - 1, times: state.times }) : state
    case "abandoned":
      return probed ? CoolDown.Open({ epoch: epoch + 1, until: now, times: state.times }) : state
    case "failed": {
      const failures = probed ? rules.threshold : state.failures + 1
      if (failures < rules.threshold) return CoolDown.Closed({ epoch, failures, times: state.times })
      const pause = Math.min(rules.firstPauseMillis * 2 ** state.times, rules.longestPauseMillis)
      return CoolDown.Open({ epoch: epoch + 1, until: now + pause, times: state.times + 1 })
    }
  }
}
