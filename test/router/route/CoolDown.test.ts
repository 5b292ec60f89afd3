import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { admit, type CallOutcome, CoolDown, fresh, settle } from "../../../src/router/route/CoolDown.ts"

const rules = { threshold: 3, firstPauseMillis: 1_000, longestPauseMillis: 8_000, probeMillis: 500 }

const closed = (failures: number, times = 0, epoch = 4) => CoolDown.Closed({ epoch, failures, times })
const open = (until: number, times = 1, epoch = 4) => CoolDown.Open({ epoch, until, times })
const probing = (until: number, times = 1, epoch = 4) => CoolDown.Probing({ epoch, until, times })

describe("admit", () => {
  const cases = [
    ["a provider that answers is asked", closed(2), 0, true, closed(2)],
    ["one that is open is left alone until its time", open(100), 99, false, open(100)],
    ["then one request finds out", open(100), 100, true, probing(600, 1, 5)],
    ["and the others stay away meanwhile", probing(600), 599, false, probing(600)],
    ["until it takes so long that one more tries", probing(600), 600, true, probing(1_100)]
  ] as const
  for (const [what, state, now, admitted, next] of cases) {
    it(what, () => {
      const admission = admit(rules, state, now)
      expect(admission.admitted).toBe(admitted)
      expect(admission.next).toEqual(next)
    })
  }

  it("says how long it will be", () => {
    expect(admit(rules, open(100), 40)).toMatchObject({ retryAfterMillis: 60 })
  })
})

describe("settle", () => {
  const cases = [
    ["a failure counts", closed(0), "failed", closed(1)],
    ["the third in a row opens", closed(2), "failed", open(11_000, 1, 5)],
    ["a whole answer forgets the failures", closed(2, 3), "answered", closed(0)],
    ["a stream that begins forgets none: it may break each time", closed(2, 3), "began", closed(2, 3)],
    ["who left says nothing", closed(2), "abandoned", closed(2)],
    ["a probe that is answered closes", probing(600, 4), "answered", closed(0, 0, 5)],
    ["a probe whose stream begins closes, for as long as none fails", probing(600, 4), "began", closed(2, 4)],
    ["then the next pause is longer still", closed(2, 2), "failed", open(14_000, 3, 5)],
    ["a probe that fails opens for twice as long", probing(600), "failed", open(12_000, 2, 5)],
    ["but never longer than the longest", probing(600, 40), "failed", open(18_000, 41, 5)],
    ["a probe whose client left gives its place up", probing(600, 2), "abandoned", open(10_000, 2, 5)]
  ] as const
  for (const [what, state, outcome, next] of cases) {
    it(what, () => expect(settle(rules, state, 4, outcome, 10_000)).toEqual(next))
  }

  const endings = [
    ["began, then failed: opens again, for longer", "failed", open(18_000, 5, 5)],
    ["began, then answered: forgets the failures", "answered", closed(0)]
  ] as const
  for (const [what, outcome, next] of endings) {
    it(`a probe that ${what}`, () => {
      expect(settle(rules, settle(rules, probing(600, 4), 4, "began", 9_000), 4, outcome, 10_000)).toEqual(next)
    })
  }

  const outcomes: ReadonlyArray<CallOutcome> = ["began", "answered", "failed", "abandoned"]
  for (const outcome of outcomes) {
    it(`a call that was let in before (${outcome}) changes nothing, and frees no probe's place`, () => {
      for (const state of [closed(2), open(99), probing(99)]) {
        expect(settle(rules, state, 3, outcome, 10_000)).toEqual(state)
      }
    })
  }

  const step = FastCheck.tuple(FastCheck.constantFrom(...outcomes), FastCheck.nat(3_000))
  it.prop(
    "whatever happens, somebody is admitted within the longest pause",
    [FastCheck.array(step, { maxLength: 60 })],
    ([steps]) => {
      let state = fresh
      let now = 0
      for (const [outcome, passed] of steps) {
        now += passed
        const admission = admit(rules, state, now)
        state = admission.next
        if (admission.admitted) state = settle(rules, state, state.epoch, outcome, now)
      }
      expect(admit(rules, state, now + rules.longestPauseMillis).admitted).toBe(true)
    }
  )

  it.prop(
    "however calls overlap, at most one is a probe until its time is over",
    [
      FastCheck.array(FastCheck.tuple(FastCheck.nat(3), FastCheck.constantFrom(...outcomes), FastCheck.nat(400)), {
        maxLength: 80
      })
    ],
    ([steps]) => {
      let state = fresh
      let now = 0
      const out: Array<{ readonly epoch: number; readonly probe: boolean; readonly since: number }> = []
      for (const [which, outcome, passed] of steps) {
        now += passed
        const admission = admit(rules, state, now)
        state = admission.next
        if (admission.admitted) out.push({ epoch: state.epoch, probe: state._tag === "Probing", since: now })
        const recent = out.filter(({ epoch, probe, since }) => {
          return probe && state._tag === "Probing" && epoch === state.epoch && now < since + rules.probeMillis
        })
        expect(recent.length).toBeLessThanOrEqual(1)
        const [back] = out.splice(which, 1)
        if (back !== undefined) state = settle(rules, state, back.epoch, outcome, now)
      }
    }
  )
})
