import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

/** Whether the trail accepts events, how many it has refused or shed since the start, and why. */
export interface Acceptance {
  readonly accepting: boolean
  readonly missed: number
  readonly reason: string
}

const words = {
  refuse: { now: "refuses", past: "refused", effect: "Requests that need a record are answered 503" },
  shed: { now: "sheds", past: "shed", effect: "Requests are answered without a record, and receipts will say so" }
} as const

/**
 * Logs one line when the trail begins to refuse or shed events (`onFull`), and one when it accepts them again, with their number.
 * Looks once a second, so that refusals with short gaps between them are one period. `read` returns undefined once the trail is
 * closed.
 */
export const watchRefusals = (onFull: keyof typeof words, read: () => Acceptance | undefined): Effect.Effect<void> => {
  const { effect, now: verb, past } = words[onFull]
  let period: { readonly since: number; readonly before: number } | undefined
  let seen = 0
  const look = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const found = read()
    if (found === undefined) return
    const { accepting, missed, reason } = found
    const isRefusing = !accepting || missed > seen
    if (isRefusing && period === undefined) {
      period = { since: now, before: seen }
      yield* Effect.logError(
        `The audit trail ${verb} events, ${missed - seen} so far: ${reason}. ${effect}. The trail recovers by itself when the ` +
          "cause is over."
      )
    } else if (!isRefusing && period !== undefined) {
      const lasted = Duration.format(Duration.millis(now - period.since))
      yield* Effect.logInfo(
        `The audit trail accepts events again after ${lasted}; it ${past} ${missed - period.before} of them.`
      )
      period = undefined
    }
    seen = missed
  })
  return Effect.asVoid(Effect.repeat(look, Schedule.spaced("1 second")))
}
