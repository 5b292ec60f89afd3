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
  /** This process's. */
  readonly source: string
  readonly tail: UnknownTail
  /** Paths of the journals of dead processes that could not be taken over so far. */
  readonly stuck: () => ReadonlyArray<string>
}

/** A heartbeat comes each minute; a source without one for so long, and without a journal here, is gone. */
const silence = Duration.hours(1)

/** Until the first look, so that journals that are here are found before. */
const start = Duration.minutes(1)

/** Where that cannot be said, there may be segments. */
const hasSegments = (path: string): Effect.Effect<boolean> =>
  Effect.promise(() =>
    Fs.readdir(path).then(
      (names) => names.some((name) => indexOf(name) !== undefined),
      () => true
    )
  )

/**
 * Closes sources whose journal is nowhere to be found: on a volume that did not persist, or on another machine. Nor is there
 * anything to wait for where a directory without segments cannot be taken over.
 */
export const watch = Effect.fnUntraced(function* (options: DeadSourceOptions) {
  const ledger = yield* AuditLedger

  const mayYetSpeak = Effect.map(list(options.directory), (journals) =>
    Effect.filter(journals, ({ path }) => (options.stuck().includes(path) ? hasSegments(path) : Effect.succeed(true)))
  ).pipe(
    Effect.flatten,
    Effect.map((journals) => new Set(journals.map(({ source }) => source)))
  )

  const look = Effect.gen(function* () {
    // Others look, too: not all at the same moment, since each would write the same receipt.
    yield* Effect.sleep(Duration.millis(yield* Random.nextIntBetween(0, 30_000)))
    const here = yield* mayYetSpeak
    for (const known of yield* ledger.silent(silence)) {
      if (here.has(known.source) || known.source === options.source) continue
      // Where it lived its journal may hold more.
      yield* options.tail.tellOf(known, false)
    }
  }).pipe(Effect.catchAll((error) => Effect.logDebug(`Silent audit sources were not looked for: ${error.message}`)))

  return Effect.repeat(Effect.zipRight(Effect.sleep(start), look), Schedule.spaced(silence))
})
