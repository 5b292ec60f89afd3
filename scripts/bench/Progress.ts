import * as Effect from "effect/Effect"

/** Reports the progress of a bench on stderr; stdout is for the result. */
export const progress = (words: string): Effect.Effect<void> => Effect.sync(() => console.error(`bench: ${words}`))
