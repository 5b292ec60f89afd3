import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { admit, CoolDown, fresh, settle } from "../../src/router/CoolDown.ts"

const rules = { threshold: 3, firstPauseMillis: 1_000, longestPauseMillis: 8_000 }
const { Closed, Open, Probing } = CoolDown

describe("admit", () => {
  const cases = [
    ["a provider that answers is asked", Closed({ failures: 2 }), 0, true, Closed({ failures: 2 })],
    [
      "one that is open is left alone until its time",
      Open({ until: 100, times: 1 }),
      99,
      false,
      Open({ until: 100, times: 1 })
    ],
    ["then one request finds out", Open({ until: 100, times: 1 }), 100, true, Probing({ times: 1 })],
    ["and the others stay away meanwhile", Probing({ times: 1 }), 100, false, Probing({ times: 1 })]
  ] as const
  for (const [what, state, now, admitted, next] of cases) {
    it(what, () => {
      const admission = admit(state, now)
      expect(admission.admitted).toBe(admitted)
      expect(admission.next).toEqual(next)
    })
  }

  it("says how long it will be", () => {
    expect(admit(Open({ until: 100, times: 1 }), 40)).toMatchObject({ retryAfterMillis: 60 })
  })
})

describe("settle", () => {
  const cases = [
    ["a failure counts", Closed({ failures: 0 }), "failed", Closed({ failures: 1 })],
    ["the third in a row opens", Closed({ failures: 2 }), "failed", Open({ until: 11_000, times: 1 })],
    ["an answer forgets the failures", Closed({ failures: 2 }), "answered", fresh],
    ["who left says nothing", Closed({ failures: 2 }), "abandoned", Closed({ failures: 2 })],
    ["a probe that is answered closes", Probing({ times: 4 }), "answered", fresh],
    ["a probe that fails opens for twice as long", Probing({ times: 1 }), "failed", Open({ until: 12_000, times: 2 })],
    ["but never longer than the longest", Probing({ times: 40 }), "failed", Open({ until: 18_000, times: 41 })],
    [
      "a probe whose client left gives its place up",
      Probing({ times: 2 }),
      "abandoned",
      Open({ until: 10_000, times: 2 })
    ],
    [
      "a late failure of another changes nothing",
      Open({ until: 99, times: 1 }),
      "failed",
      Open({ until: 99, times: 1 })
    ],
    ["a late answer of another closes", Open({ until: 99, times: 1 }), "answered", fresh]
  ] as const
  for (const [what, state, outcome, next] of cases) {
    it(what, () => expect(settle(rules, state, outcome, 10_000)).toEqual(next))
  }

  const step = FastCheck.tuple(
    FastCheck.constantFrom("answered" as const, "failed" as const, "abandoned" as const),
    FastCheck.nat(3_000)
  )
  it.prop(
    "whatever happens, somebody is admitted within the longest pause",
    [FastCheck.array(step, { maxLength: 60 })],
    ([steps]) => {
      let state = fresh
      let now = 0
      for (const [outcome, passed] of steps) {
        now += passed
        const admission = admit(state, now)
        state = admission.next
        if (admission.admitted) state = settle(rules, state, outcome, now)
      }
      expect(admit(state, now + rules.longestPauseMillis).admitted).toBe(true)
    }
  )
})
