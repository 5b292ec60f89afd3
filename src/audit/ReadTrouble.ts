import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

/** Why the journal cannot be read on, and since when (milliseconds since the epoch). */
export type ReadTrouble = { readonly detail: string; readonly since: number } | null

/** What was told of it, and when. */
export interface Told {
  readonly trouble: NonNullable<ReadTrouble>
  readonly at: number
}

const reminder = Duration.toMillis("1 minute")

/** What is to be told now: that it began, each minute that it lasts, and that it is over. */
export const nextWord = (trouble: ReadTrouble, told: Told | undefined, now: number): "lasts" | "over" | undefined => {
  if (trouble === null) return told === undefined ? undefined : "over"
  return told === undefined || now - told.at >= reminder ? "lasts" : undefined
}

/** Tells in the log when the journal cannot be read: the events that wait for that are in no other place. */
export const watch = (read: () => ReadTrouble): Effect.Effect<never> =>
  Effect.suspend(() => {
    let told: Told | undefined
    const look = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const trouble = read()
      const word = nextWord(trouble, told, now)
      if (word === undefined) return
      if (trouble === null) {
        told = undefined
        return yield* Effect.logInfo("The audit journals can be read again.")
      }
      told = { trouble, at: now }
      yield* Effect.logError(
        `An audit journal cannot be read on since ${new Date(trouble.since).toISOString()}: ${trouble.detail}. The events ` +
          "that the memory has no room for wait in it, and those after them. Mend the disk of GRAVITAS_HOME; it is tried " +
          "again all the time."
      )
    })
    return Effect.zipRight(Effect.repeat(look, Schedule.spaced("1 second")), Effect.never)
  })
