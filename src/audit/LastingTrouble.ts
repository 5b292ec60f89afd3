import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

/** What is wrong, and since when (milliseconds since the epoch). */
export type Trouble = { readonly detail: string; readonly since: number } | null

/** What was told of it, and when. */
export interface Told {
  readonly trouble: NonNullable<Trouble>
  readonly at: number
}

const reminder = Duration.toMillis("1 minute")

/** What is to be told now: that it began, each minute that it lasts, and that it is over. */
export const nextWord = (trouble: Trouble, told: Told | undefined, now: number): "lasts" | "over" | undefined => {
  if (trouble === null) return told === undefined ? undefined : "over"
  return told === undefined || now - told.at >= reminder ? "lasts" : undefined
}

/** Tells in the log of a trouble that lasts. */
export const watch = (
  read: () => Trouble,
  words: { readonly lasts: (trouble: NonNullable<Trouble>) => string; readonly over: string }
): Effect.Effect<never> =>
  Effect.suspend(() => {
    let told: Told | undefined
    const look = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const trouble = read()
      const word = nextWord(trouble, told, now)
      if (word === undefined) return
      told = trouble === null ? undefined : { trouble, at: now }
      yield* trouble === null ? Effect.logInfo(words.over) : Effect.logError(words.lasts(trouble))
    })
    return Effect.zipRight(Effect.repeat(look, Schedule.spaced("1 second")), Effect.never)
  })
