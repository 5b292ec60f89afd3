import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { OrphanedJournal } from "../journal/OrphanedJournal.ts"

const patience = "30 seconds"

/** A journal of a dead process could not be read on for so long that the others have their turn first. */
export class OrphanUnreadable extends Schema.TaggedError<OrphanUnreadable>()("OrphanUnreadable", {
  path: Schema.String,
  detail: Schema.String,
  /** Milliseconds since the epoch. */
  since: Schema.Number
}) {
  override get message(): string {
    return (
      `it cannot be read on since ${new Date(this.since).toISOString()}: ${this.detail}. What was read is written; mend the disk ` +
      "of GRAVITAS_HOME"
    )
  }
}

/** Fails when reading has failed for as long as the others may wait for it. */
export const readingFails = Effect.fnUntraced(function* (
  journal: OrphanedJournal
): Effect.fn.Return<never, OrphanUnreadable> {
  for (;;) {
    yield* Effect.sleep("1 second")
    const problem = journal.status().readProblem
    if (problem === null) continue
    yield* Effect.sleep(patience)
    if (journal.status().readProblem?.since === problem.since) {
      return yield* new OrphanUnreadable({ path: journal.path, ...problem })
    }
  }
})
