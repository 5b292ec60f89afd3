import * as Fs from "node:fs/promises"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import { list } from "../journal/OrphanedJournal.ts"
import { indexOf } from "../journal/Segment.ts"
import { AuditLedger } from "../sources/AuditLedger.ts"
import type { UnknownTail } from "./UnknownTail.ts"

export interface DeadSourceOptions {
  /** Where journals are, one directory for each incarnation. */
  readonly directory: string
  /** This process's source. */
  readonly source: string
  readonly tail: UnknownTail
  /** Paths of the journals of dead processes that could not be recovered so far. */
  readonly stuck: () => ReadonlyArray<string>
}

/** A process sends a heartbeat each minute. A source without one for so long, and without a journal here, is dead. */
const silence = Duration.hours(1)

/** Before the first look, so that journals in this directory are found first. */
const start = Duration.minutes(1)

/** Whether the directory holds segments; true where it cannot be read. */
const hasSegments = (path: string): Effect.Effect<boolean> =>
  Effect.promise(() =>
    Fs.readdir(path).then(
      (names) => names.some((name) => indexOf(name) !== undefined),
      () => true
    )
  )

/**
 * Closes dead sources whose journal cannot be found: it was on a volume that did not persist, or on another machine. A
 * journal directory without segments that cannot be recovered counts as not found.
 */
export const watch = Effect.fnUntraced(function* (options: DeadSourceOptions) {
  const ledger = yield* AuditLedger

  const recoverable = Effect.map(list(options.directory), (journals) =>
    Effect.filter(journals, ({ path }) => (options.stuck().includes(path) ? hasSegments(path) : Effect.succeed(true)))
  ).pipe(
    Effect.flatten,
    Effect.map((journals) => new Set(journals.map(({ source }) => source)))
  )

  const look = Effect.gen(function* () {
    // Other processes look too. The random delay keeps them from writing the same receipt at the same time.
    yield* Effect.sleep(Duration.millis(yield* Random.nextIntBetween(0, 30_000)))
    const here = yield* recoverable
    for (const known of yield* ledger.silent(silence)) {
      if (here.has(known.source) || known.source === options.source) continue
      // Its journal may exist on the machine where it ran.
      yield* options.tail.closeKnown(known, false)
    }
  }).pipe(Effect.catchAll((error) => Effect.logDebug(`Dead audit sources were not looked for: ${error.message}`)))

  return Effect.repeat(Effect.zipRight(Effect.sleep(start), look), Schedule.spaced(silence))
})
