import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { monotonicMillis } from "../platform/os/EventLoop.ts"

/** When a breaker opens, for how long, and how it finds out that calls succeed again. */
export interface BreakerOptions {
  /** Failures in a row that open it. */
  readonly consecutive: number
  /** Opens it also at `failures` among the last `size` calls, for a server that answers now and then. `size` is at most 30. */
  readonly window?: { readonly failures: number; readonly size: number }
  readonly firstPauseMillis: number
  /** Each opening since the last complete answer doubles the pause, up to this. */
  readonly longestPauseMillis: number
  /** After this time without an outcome, another call becomes the probe. By default the first probe is waited for. */
  readonly probeMillis?: number
}

/**
 * - `Closed`: every call goes out. `recent` has a bit for each of the last calls, 1 for a failure, the newest lowest.
 * - `Open`: no call goes out before `until`. Then one does, as a probe; `isAsked`: then all do, because the server named that time.
 * - `HalfOpen`: one call, the probe, is out; before `until` no other goes out.
 *
 * Times are milliseconds of one clock. `openings` counts those since the last complete answer. `epoch` counts the changes of
 * state, except where a probe's stream begins: the outcome of a call from an earlier epoch says nothing about now.
 */
export type BreakerState = Data.TaggedEnum<{
  Closed: { readonly epoch: number; readonly consecutive: number; readonly recent: number; readonly openings: number }
  Open: { readonly epoch: number; readonly until: number; readonly openings: number; readonly isAsked: boolean }
  HalfOpen: { readonly epoch: number; readonly until: number; readonly openings: number }
}>
export const { Closed, HalfOpen, Open } = Data.taggedEnum<BreakerState>()

export const initial: BreakerState = Closed({ epoch: 0, consecutive: 0, recent: 0, openings: 0 })

/** What became of a call. */
export type CallOutcome =
  | "began" // its stream, which may still fail: this forgives no failure, but a probe has succeeded
  | "answered" // completely
  | "failed"
  | "abandoned" // the caller left before an answer or a failure
  | Pause

/**
 * The server failed, and asked to be left alone for so long: the breaker opens at once. A time below the first pause, such as
 * `Retry-After: 0` or a date that has passed, is a failure like others.
 */
export interface Pause {
  readonly pauseMillis: number
}

type Admission =
  | { readonly admitted: true; readonly next: BreakerState }
  | { readonly admitted: false; readonly next: BreakerState; readonly retryAfterMillis: number }

/** How long callers are asked to wait while a probe is out. */
const probeRetryMillis = 1_000

/** Decides whether a call may go out at `now`; `next` is the state after that. */
export const admit = (options: BreakerOptions, state: BreakerState, now: number): Admission => {
  if (state._tag === "Closed") return { admitted: true, next: state }
  if (now < state.until) {
    const retryAfterMillis = state._tag === "Open" ? state.until - now : probeRetryMillis
    return { admitted: false, next: state, retryAfterMillis }
  }
  const epoch = state._tag === "Open" ? state.epoch + 1 : state.epoch
  if (state._tag === "Open" && state.isAsked) {
    const next = Closed({ epoch, consecutive: options.consecutive - 1, recent: 0, openings: state.openings })
    return { admitted: true, next }
  }
  const until = now + (options.probeMillis ?? Number.POSITIVE_INFINITY)
  return { admitted: true, next: HalfOpen({ epoch, until, openings: state.openings }) }
}

const countOnes = (bits: number): number => {
  let count = 0
  for (let rest = bits; rest !== 0; rest &= rest - 1) count += 1
  return count
}

/** The state after a call of `epoch` ended at `now`. */
export const settle = (
  options: BreakerOptions,
  state: BreakerState,
  epoch: number,
  reported: CallOutcome,
  now: number
): BreakerState => {
  if (state.epoch !== epoch || state._tag === "Open") return state
  const { openings } = state
  const isShort = typeof reported === "object" && reported.pauseMillis < options.firstPauseMillis
  const outcome = isShort ? "failed" : reported
  if (typeof outcome === "object") {
    // After a short pause one slow probe must not block the other calls. A probe that failed is followed by a probe.
    const isAsked = state._tag === "Closed" && outcome.pauseMillis <= options.longestPauseMillis
    return Open({ epoch: epoch + 1, until: now + outcome.pauseMillis, openings, isAsked })
  }
  const open = () => {
    const pause = Math.min(options.firstPauseMillis * 2 ** openings, options.longestPauseMillis)
    return Open({ epoch: epoch + 1, until: now + pause, openings: openings + 1, isAsked: false })
  }
  if (state._tag === "HalfOpen") {
    switch (outcome) {
      case "answered":
        return Closed({ epoch: epoch + 1, consecutive: 0, recent: 0, openings: 0 })
      case "began":
        // The epoch stays: the end of this same stream is still to be reported.
        return Closed({ epoch, consecutive: options.consecutive - 1, recent: 0, openings })
      case "abandoned":
        // The next call is the probe.
        return Open({ epoch: epoch + 1, until: now, openings, isAsked: false })
      case "failed":
        return open()
    }
  }
  if (outcome === "began" || outcome === "abandoned") return state
  const failure = outcome === "failed" ? 1 : 0
  const { window } = options
  const recent = window === undefined ? 0 : ((state.recent << 1) | failure) & (2 ** window.size - 1)
  const consecutive = failure === 1 ? state.consecutive + 1 : 0
  if (consecutive >= options.consecutive || (window !== undefined && countOnes(recent) >= window.failures))
    return open()
  return Closed({ epoch, consecutive, recent, openings: failure === 1 ? openings : 0 })
}

export class CircuitOpen extends Data.TaggedError("CircuitOpen")<{ readonly retryAfterMillis: number }> {}

const rejection = ({ retryAfterMillis }: { readonly retryAfterMillis: number }) => new CircuitOpen({ retryAfterMillis })

/** What an outcome changed. `pauseMillis`: how long the breaker is open from now. */
export interface Transition {
  readonly from: BreakerState["_tag"]
  readonly to: BreakerState["_tag"]
  readonly pauseMillis: number
}

export interface CircuitBreaker {
  /** Lets a call out. The caller must report its outcome, interrupted or not: until then a probe blocks other calls. */
  readonly enter: Effect.Effect<(outcome: CallOutcome) => Effect.Effect<Transition>, CircuitOpen>
  /** Fails where `enter` would, without letting a call out. */
  readonly check: Effect.Effect<void, CircuitOpen>
}

export const make = (options: BreakerOptions): Effect.Effect<CircuitBreaker> =>
  Effect.sync((): CircuitBreaker => {
    let state: BreakerState = initial
    const settleIn = (epoch: number) => (outcome: CallOutcome) =>
      Effect.map(monotonicMillis, (now): Transition => {
        const before = state
        state = settle(options, before, epoch, outcome, now)
        const pauseMillis = state._tag === "Open" ? state.until - now : 0
        return { from: before._tag, to: state._tag, pauseMillis }
      })
    return {
      enter: Effect.flatMap(monotonicMillis, (now) => {
        const admission = admit(options, state, now)
        state = admission.next
        return admission.admitted ? Effect.succeed(settleIn(state.epoch)) : rejection(admission)
      }),
      check: Effect.flatMap(monotonicMillis, (now) => {
        const admission = admit(options, state, now)
        return admission.admitted ? Effect.void : rejection(admission)
      })
    }
  })
