import * as Effect from "effect/Effect"
import type { JournalSight } from "./JournalSight.ts"

export const sightsIn = (_directory: string): Effect.Effect<ReadonlyArray<JournalSight>> => Effect.succeed([])
