import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as TestClock from "effect/TestClock"
import {
  admit,
  type BreakerOptions,
  type BreakerState,
  type CallOutcome,
  Closed,
  HalfOpen,
  initial,
  make,
  Open,
  settle
} from "../../src/clients/CircuitBreaker.ts"

const never = Number.POSITIVE_INFINITY

/** As for a peer: a window, pauses of one length, one probe. */
const windowed: BreakerOptions = {
  consecutive: 3,
  window: { failures: 4, size: 8 },
  firstPauseMillis: 1_000,
  longestPauseMillis: 1_000
}

/** As for a provider: pauses that double, probes that are given up. */
const doubling: BreakerOptions = {
  consecutive: 3,
  firstPauseMillis: 1_000,
  longestPauseMillis: 8_000,
  probeMillis: 500
}

const closed = (consecutive: number, openings = 0, epoch = 4, recent = 0) =>
  Closed({ epoch, consecutive, recent, openings })
const open = (until: number, openings = 1, epoch = 4) => Open({ epoch, until, openings, isAsked: false })
const asked = (until: number, openings = 1, epoch = 4) => Open({ epoch, until, openings, isAsked: true })
const halfOpen = (until: number, openings = 1, epoch = 4) => HalfOpen({ epoch, until, openings })

describe("admit", () => {
  const cases: ReadonlyArray<
    readonly [string, BreakerOptions, BreakerState, now: number, admitted: boolean, next: BreakerState]
  > = [
    ["a closed breaker lets every call out", windowed, closed(2), 50, true, closed(2)],
    ["an open breaker lets no call out before its time", windowed, open(100), 99, false, open(100)],
    ["an open breaker lets one probe out at its time", windowed, open(100), 100, true, halfOpen(never, 1, 5)],
    ["a pause that the server asked for lets no call out before its time", doubling, asked(100), 99, false, asked(100)],
    ["after that pause every call goes out, until the next failure", doubling, asked(100), 100, true, closed(2, 1, 5)],
    ["a half-open breaker waits for its only probe", windowed, halfOpen(never), 5_000, false, halfOpen(never)],
    ["a probe may have a time limit", doubling, open(100), 100, true, halfOpen(600, 1, 5)],
    ["other calls wait within that limit", doubling, halfOpen(600), 599, false, halfOpen(600)],
    ["after that limit another call is the probe", doubling, halfOpen(600), 600, true, halfOpen(1_100)]
  ]
  for (const [what, options, state, now, admitted, next] of cases) {
    it(what, () => expect(admit(options, state, now)).toMatchObject({ admitted, next }))
  }

  it("returns the time until the next try", () => {
    expect(admit(doubling, open(100), 40)).toMatchObject({ retryAfterMillis: 60 })
    expect(admit(doubling, halfOpen(100), 40)).toMatchObject({ retryAfterMillis: 1_000 })
  })
})

describe("settle", () => {
  const at = 10_000
  const windowCases: ReadonlyArray<readonly [string, BreakerState, epoch: number, CallOutcome, next: BreakerState]> = [
    ["an answer resets the failures in a row", closed(2, 0, 4, 0b11), 4, "answered", closed(0, 0, 4, 0b110)],
    ["the third failure in a row opens", closed(2, 0, 4, 0b11), 4, "failed", open(11_000, 1, 5)],
    ["an abandoned call is not counted", closed(2, 0, 4, 0b11), 4, "abandoned", closed(2, 0, 4, 0b11)],
    ["a call of an earlier epoch is not counted", closed(2, 0, 4, 0b11), 3, "failed", closed(2, 0, 4, 0b11)],
    ["an answered probe closes", halfOpen(never, 1, 6), 6, "answered", closed(0, 0, 7)],
    ["a failed probe opens again", halfOpen(never, 1, 6), 6, "failed", open(11_000, 2, 7)],
    ["an abandoned probe makes the next call the probe", halfOpen(never, 1, 6), 6, "abandoned", open(10_000, 1, 7)],
    ["an answer of an earlier epoch does not close", halfOpen(never, 1, 6), 4, "answered", halfOpen(never, 1, 6)],
    ["a late answer does not close an open breaker", open(900, 1, 7), 7, "answered", open(900, 1, 7)]
  ]
  for (const [what, state, epoch, outcome, next] of windowCases) {
    it(what, () => expect(settle(windowed, state, epoch, outcome, at)).toEqual(next))
  }

  const doublingCases: ReadonlyArray<readonly [string, BreakerState, CallOutcome, next: BreakerState]> = [
    ["a failure counts", closed(0), "failed", closed(1)],
    ["the third failure in a row opens, without a window too", closed(2), "failed", open(11_000, 1, 5)],
    ["a complete answer forgets failures and openings", closed(2, 3), "answered", closed(0)],
    ["the begin of a stream forgets no failure, because the stream may break", closed(2, 3), "began", closed(2, 3)],
    ["an abandoned call changes nothing, without a window too", closed(2), "abandoned", closed(2)],
    ["an answered probe closes, and forgets the openings", halfOpen(600, 4), "answered", closed(0, 0, 5)],
    ["a probe whose stream begins closes, until the next failure", halfOpen(600, 4), "began", closed(2, 4)],
    ["the next pause is twice as long", closed(2, 2), "failed", open(14_000, 3, 5)],
    ["a failed probe opens for twice as long", halfOpen(600), "failed", open(12_000, 2, 5)],
    ["no pause is longer than the longest", halfOpen(600, 40), "failed", open(18_000, 41, 5)],
    ["a pause opens at once, without a probe after it", closed(0), { pauseMillis: 1_000 }, asked(11_000, 0, 5)],
    ["a probe follows a pause beyond the longest", closed(0), { pauseMillis: 9_000 }, open(19_000, 0, 5)],
    ["a probe follows a probe's pause", halfOpen(600), { pauseMillis: 2_000 }, open(12_000, 1, 5)],
    ["a pause of nothing counts as a failure", closed(0), { pauseMillis: 0 }, closed(1)],
    ["a pause below the first one counts as a failure", closed(0), { pauseMillis: 999 }, closed(1)],
    ["the third of them opens for the first pause", closed(2), { pauseMillis: 0 }, open(11_000, 1, 5)],
    [
      "a probe's pause below the first one opens for twice as long",
      halfOpen(600),
      { pauseMillis: 0 },
      open(12_000, 2, 5)
    ],
    ["an abandoned probe keeps the openings", halfOpen(600, 2), "abandoned", open(10_000, 2, 5)]
  ]
  for (const [what, state, outcome, next] of doublingCases) {
    it(what, () => expect(settle(doubling, state, 4, outcome, at)).toEqual(next))
  }

  const endings = [
    ["began, then failed: opens again, for longer", "failed", open(18_000, 5, 5)],
    ["began, then answered: forgets the failures", "answered", closed(0)]
  ] as const
  for (const [what, outcome, next] of endings) {
    it(`a probe that ${what}`, () => {
      expect(settle(doubling, settle(doubling, halfOpen(600, 4), 4, "began", 9_000), 4, outcome, at)).toEqual(next)
    })
  }

  const outcomes: ReadonlyArray<CallOutcome> = ["began", "answered", "failed", "abandoned"]
  for (const outcome of outcomes) {
    it(`a call of an earlier epoch (${outcome}) changes nothing, and does not end a probe`, () => {
      for (const state of [closed(2), open(99), halfOpen(99)]) {
        expect(settle(doubling, state, 3, outcome, at)).toEqual(state)
      }
    })
  }

  /** One call after the other, each settled at once. */
  const following = (outcomes: ReadonlyArray<CallOutcome>): BreakerState =>
    outcomes.reduce((state, outcome) => settle(windowed, state, state.epoch, outcome, 0), initial)

  it("opens at a share of failures that never are many in a row", () => {
    const flapping: ReadonlyArray<CallOutcome> = ["failed", "answered", "failed", "answered", "failed", "answered"]
    expect(following(flapping)._tag).toBe("Closed")
    expect(following([...flapping, "failed"])._tag).toBe("Open")
  })

  it("forgets failures that are older than the window", () => {
    const answers = Array.from({ length: 8 }, (): CallOutcome => "answered")
    expect(following(["failed", "failed", ...answers, "failed", "failed"])._tag).toBe("Closed")
  })
})

describe("a breaker under any order of calls", () => {
  const outcome = FastCheck.constantFrom<CallOutcome>("began", "answered", "failed", "abandoned")
  const step = FastCheck.record({
    what: FastCheck.oneof(FastCheck.constant("ask" as const), outcome),
    which: FastCheck.nat(5),
    pass: FastCheck.nat(700)
  })

  it.prop(
    "has at most one probe out, and lets a call out when the pause is over",
    [FastCheck.array(step, { maxLength: 80 })],
    ([steps]) => {
      let state = initial
      let now = 0
      const out: Array<{ readonly epoch: number; readonly isProbe: boolean }> = []
      for (const { pass, what, which } of steps) {
        now += pass
        if (what === "ask") {
          const { admitted, next } = admit(windowed, state, now)
          if (admitted) out.push({ epoch: next.epoch, isProbe: next._tag === "HalfOpen" })
          state = next
        } else if (what !== "began") {
          const [call] = out.splice(which % Math.max(out.length, 1), 1)
          if (call !== undefined) state = settle(windowed, state, call.epoch, what, now)
        }
        const { _tag, epoch: current } = state
        const probes = out.filter(({ epoch, isProbe }) => isProbe && epoch === current)
        expect(probes.length).toBe(_tag === "HalfOpen" ? 1 : 0)
        if (_tag === "Open") expect(admit(windowed, state, now + windowed.longestPauseMillis).admitted).toBe(true)
      }
    },
    { fastCheck: { numRuns: 500 } }
  )

  it.prop(
    "lets a call out within the longest pause",
    [FastCheck.array(FastCheck.tuple(outcome, FastCheck.nat(3_000)), { maxLength: 60 })],
    ([steps]) => {
      let state = initial
      let now = 0
      for (const [outcome, passed] of steps) {
        now += passed
        const admission = admit(doubling, state, now)
        state = admission.next
        if (admission.admitted) state = settle(doubling, state, state.epoch, outcome, now)
      }
      expect(admit(doubling, state, now + doubling.longestPauseMillis).admitted).toBe(true)
    }
  )

  it.prop(
    "has at most one probe out until the probe's time limit",
    [FastCheck.array(FastCheck.tuple(FastCheck.nat(3), outcome, FastCheck.nat(400)), { maxLength: 80 })],
    ([steps]) => {
      let state = initial
      let now = 0
      const out: Array<{ readonly epoch: number; readonly probe: boolean; readonly since: number }> = []
      for (const [which, outcome, passed] of steps) {
        now += passed
        const admission = admit(doubling, state, now)
        state = admission.next
        if (admission.admitted) out.push({ epoch: state.epoch, probe: state._tag === "HalfOpen", since: now })
        const { _tag, epoch: current } = state
        const recent = out.filter(
          ({ epoch, probe, since }) => probe && _tag === "HalfOpen" && epoch === current && now < since + 500
        )
        expect(recent.length).toBeLessThanOrEqual(1)
        const [back] = out.splice(which, 1)
        if (back !== undefined) state = settle(doubling, state, back.epoch, outcome, now)
      }
    }
  )
})

describe("make", () => {
  it.effect("keeps the state between calls, and reports each transition with the length of the pause", () =>
    Effect.gen(function* () {
      const breaker = yield* make(doubling)
      const call = (outcome: CallOutcome) => Effect.flatMap(breaker.enter, (settle) => settle(outcome))
      yield* call("failed")
      yield* call("failed")
      expect(yield* call("failed")).toEqual({ from: "Closed", to: "Open", pauseMillis: 1_000 })
      expect(yield* Effect.flip(breaker.enter)).toMatchObject({ _tag: "CircuitOpen", retryAfterMillis: 1_000 })
      yield* TestClock.adjust("1 seconds")
      // A check lets no probe out.
      yield* breaker.check
      expect(yield* call("answered")).toEqual({ from: "HalfOpen", to: "Closed", pauseMillis: 0 })
    })
  )
})
