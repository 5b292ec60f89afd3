import * as Data from "effect/Data"

/** Whether a provider may be asked. Times are milliseconds of one clock. */
export type CoolDown = Data.TaggedEnum<{
  /** It may; `failures` in a row so far. */
  Closed: { readonly failures: number }
  /** It may not before `until`; the `times`-th opening in a row. */
  Open: { readonly until: number; readonly times: number }
  /** One request finds out whether it is back; the others stay away. */
  Probing: { readonly times: number }
}>
export const CoolDown = Data.taggedEnum<CoolDown>()

export const fresh: CoolDown = CoolDown.Closed({ failures: 0 })

export interface CoolDownRules {
  /** Failures in a row that open it. */
  readonly threshold: number
  readonly firstPauseMillis: number
  /** Pauses double up to this. */
  readonly longestPauseMillis: number
}

export const standardRules: CoolDownRules = { threshold: 3, firstPauseMillis: 2_000, longestPauseMillis: 60_000 }

/** How long others are told to wait while a probe is out. */
const probeMillis = 1_000

export type Admission =
  | { readonly admitted: true; readonly next: CoolDown }
  | { readonly admitted: false; readonly next: CoolDown; readonly retryAfterMillis: number }

/** Asks to pass. Whoever is admitted tells by `settle` what became of it. */
export const admit = (state: CoolDown, now: number): Admission => {
  if (state._tag === "Closed") return { admitted: true, next: state }
  if (state._tag === "Probing") return { admitted: false, next: state, retryAfterMillis: probeMillis }
  if (now < state.until) return { admitted: false, next: state, retryAfterMillis: state.until - now }
  return { admitted: true, next: CoolDown.Probing({ times: state.times }) }
}

const open = (rules: CoolDownRules, times: number, now: number): CoolDown =>
  CoolDown.Open({
    until: now + Math.min(rules.firstPauseMillis * 2 ** (times - 1), rules.longestPauseMillis),
    times
  })

/**
 * What an answer means for the next request. `abandoned`: the client left before anybody could know, so a probe's place is
 * free again. Answers of requests that were admitted before it opened may still arrive: a success closes it in any case, a
 * failure then tells nothing new.
 */
export const settle = (
  rules: CoolDownRules,
  state: CoolDown,
  outcome: "answered" | "failed" | "abandoned",
  now: number
): CoolDown => {
  if (outcome === "answered") return fresh
  switch (state._tag) {
    case "Closed": {
      if (outcome === "abandoned") return state
      const failures = state.failures + 1
      return failures >= rules.threshold ? open(rules, 1, now) : CoolDown.Closed({ failures })
    }
    case "Open":
      return state
    case "Probing":
      return outcome === "failed"
        ? open(rules, state.times + 1, now)
        : CoolDown.Open({ until: now, times: state.times })
  }
}
