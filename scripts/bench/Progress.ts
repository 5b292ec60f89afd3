import * as Effect from "effect/Effect"

/** What a bench is at, for whoever waits; stdout is for the result. */
export const progress = (words: string): Effect.Effect<void> => Effect.sync(() => console.error(`bench: ${words}`))
