import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { type Acceptance, watchRefusals } from "../../src/audit/RefusalLog.ts"
import { withLogs } from "../support/Trail.ts"

const reason = "ENOSPC: no space left on device"

/** Looks at one acceptance a second; returns the lines. */
const linesOf = (
  seconds: ReadonlyArray<readonly [accepting: boolean, missed: number] | "closed">,
  onFull: "refuse" | "shed" = "refuse"
) =>
  withLogs((lines) =>
    Effect.gen(function* () {
      let second = 0
      yield* Effect.forkScoped(
        watchRefusals(onFull, (): Acceptance | undefined => {
          const now = seconds[second]
          return now === undefined || now === "closed" ? undefined : { accepting: now[0], missed: now[1], reason }
        })
      )
      for (; second < seconds.length; second++) yield* TestClock.adjust("1 second")
      return [...lines]
    })
  ).pipe(Effect.scoped)

const refuses = (count: number) =>
  expect.stringMatching(`^ERROR The audit trail refuses events, ${count} so far: ${reason}`)
const accepts = (after: string, count: number) =>
  `INFO The audit trail accepts events again after ${after}; it refused ${count} of them.`

it.effect("a period of refusals is one line when it begins and one when it ends, with its own count", () =>
  Effect.gen(function* () {
    const seen = yield* linesOf([
      [true, 0],
      [true, 0],
      [false, 7],
      [false, 9_000],
      [true, 12_378],
      [true, 12_378],
      [true, 12_378],
      [false, 12_378],
      [true, 12_378]
    ])
    expect(seen).toEqual([refuses(7), accepts("3s", 12_378), refuses(0), accepts("1s", 0)])
  })
)

it.effect("refusals between two looks are seen by their count; the end of the process is not a refusal", () =>
  Effect.gen(function* () {
    expect(yield* linesOf([[true, 0], [true, 2], [true, 2], "closed", "closed"])).toEqual([
      refuses(2),
      accepts("1s", 2)
    ])
    expect(yield* linesOf([[true, 0], "closed"])).toEqual([])
  })
)

it.effect("a trail that sheds says so, though it accepts requests", () =>
  Effect.gen(function* () {
    const seen = yield* linesOf(
      [
        [true, 0],
        [true, 3],
        [true, 5],
        [true, 5]
      ],
      "shed"
    )
    expect(seen).toEqual([
      expect.stringMatching(
        `^ERROR The audit trail sheds events, 3 so far: ${reason}. Requests are answered without a record`
      ),
      "INFO The audit trail accepts events again after 2s; it shed 5 of them."
    ])
  })
)
