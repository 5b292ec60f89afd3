import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import {
  admit,
  type Breaker,
  type BreakerOptions,
  Closed,
  HalfOpen,
  initial,
  Open,
  type Outcome,
  settle
} from "../../src/clients/CircuitBreaker.ts"

const options: BreakerOptions = { consecutive: 3, failures: 4, window: 8, openMillis: 1_000 }

/** One call after the other, each back at once. */
const following = (outcomes: ReadonlyArray<Outcome>, from: Breaker = initial, now = 0): Breaker =>
  outcomes.reduce((breaker, outcome) => settle(breaker, breaker.epoch, outcome, now, options), from)

const closed = Closed({ epoch: 4, consecutive: 2, recent: 0b11 })

describe("admit", () => {
  const cases: ReadonlyArray<readonly [string, Breaker, now: number, admitted: boolean, next: Breaker]> = [
    ["lets everyone out while closed", closed, 50, true, closed],
    ["lets nobody out while open", Open({ epoch: 1, until: 100 }), 99, false, Open({ epoch: 1, until: 100 })],
    ["lets one probe out when its time has come", Open({ epoch: 1, until: 100 }), 100, true, HalfOpen({ epoch: 2 })],
    ["lets nobody else out while the probe is", HalfOpen({ epoch: 2 }), 5_000, false, HalfOpen({ epoch: 2 })]
  ]
  for (const [what, breaker, now, admitted, next] of cases) {
    it(what, () => {
      expect(admit(breaker, now)).toEqual({ admitted, next })
    })
  }
})

describe("settle", () => {
  const cases: ReadonlyArray<readonly [string, Breaker, epoch: number, Outcome, next: Breaker]> = [
    [
      "forgets the row of failures at an answer",
      closed,
      4,
      "answered",
      Closed({ epoch: 4, consecutive: 0, recent: 6 })
    ],
    ["opens at so many failures in a row", closed, 4, "failed", Open({ epoch: 5, until: 1_100 })],
    ["counts nobody who left", closed, 4, "abandoned", closed],
    ["ignores a call from before the last change", closed, 3, "failed", closed],
    [
      "closes when the probe is answered",
      HalfOpen({ epoch: 6 }),
      6,
      "answered",
      Closed({ epoch: 7, consecutive: 0, recent: 0 })
    ],
    ["opens again when the probe fails", HalfOpen({ epoch: 6 }), 6, "failed", Open({ epoch: 7, until: 1_100 })],
    [
      "makes the next call the probe when its caller left",
      HalfOpen({ epoch: 6 }),
      6,
      "abandoned",
      Open({ epoch: 7, until: 100 })
    ],
    ["is not closed by an answer from before it opened", HalfOpen({ epoch: 6 }), 4, "answered", HalfOpen({ epoch: 6 })],
    [
      "stays open whatever comes back late",
      Open({ epoch: 7, until: 900 }),
      7,
      "answered",
      Open({ epoch: 7, until: 900 })
    ]
  ]
  for (const [what, breaker, epoch, outcome, next] of cases) {
    it(what, () => {
      expect(settle(breaker, epoch, outcome, 100, options)).toEqual(next)
    })
  }

  it("opens at a share of failures that never are many in a row", () => {
    const flapping: ReadonlyArray<Outcome> = ["failed", "answered", "failed", "answered", "failed", "answered"]
    expect(following(flapping)._tag).toBe("Closed")
    expect(following([...flapping, "failed"])._tag).toBe("Open")
  })

  it("forgets failures that are older than the window", () => {
    const answers = Array.from({ length: 8 }, (): Outcome => "answered")
    expect(following(["failed", "failed", ...answers, "failed", "failed"])._tag).toBe("Closed")
  })
})

describe("the breaker, whatever happens in whatever order", () => {
  const step = FastCheck.record({
    what: FastCheck.constantFrom("ask" as const, "answered" as const, "failed" as const, "abandoned" as const),
    which: FastCheck.nat(5),
    pass: FastCheck.nat(700)
  })

  it("never has two probes out, and lets a call out again once its time has come", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(step, { maxLength: 80 }), (steps) => {
        let breaker: Breaker = initial
        let now = 0
        const out: Array<{ readonly epoch: number; readonly isProbe: boolean }> = []
        for (const { pass, what, which } of steps) {
          now += pass
          if (what === "ask") {
            const { admitted, next } = admit(breaker, now)
            if (admitted) out.push({ epoch: next.epoch, isProbe: next._tag === "HalfOpen" })
            breaker = next
          } else {
            const [call] = out.splice(which % Math.max(out.length, 1), 1)
            if (call !== undefined) breaker = settle(breaker, call.epoch, what, now, options)
          }
          const probes = out.filter(({ epoch, isProbe }) => isProbe && epoch === breaker.epoch)
          expect(probes.length).toBe(breaker._tag === "HalfOpen" ? 1 : 0)
          if (breaker._tag === "Open") expect(admit(breaker, now + options.openMillis).admitted).toBe(true)
        }
      }),
      { numRuns: 500 }
    )
  })
})
