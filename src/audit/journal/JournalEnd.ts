import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { CheckpointValues } from "./CheckpointFile.ts"
import * as JournalDirectory from "./JournalDirectory.ts"
import type { JournalSync } from "./JournalSync.ts"
import type { Segments } from "./Segments.ts"
import type { SegmentWriter } from "./SegmentWriter.ts"

export interface JournalEndOptions {
  readonly held: { readonly directory: JournalDirectory.JournalDirectory }
  /** The upkeep's. */
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
  readonly segments: Segments
  readonly writer: SegmentWriter
  readonly through: JournalSync
  readonly values: (ended: boolean) => CheckpointValues
  /** Nobody needs it any more. */
  readonly remove: boolean
}

/**
 * Ends a journal in order: removed, or written through to the disk and marked as ended, so that whoever finds it knows its last
 * number even when the machine was started anew in between.
 */
export const end = (options: JournalEndOptions): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { fiber, held, remove, segments, through, values, writer } = options
    // It does not wait for a disk that hangs.
    yield* Fiber.interruptFork(fiber)
    const close = Effect.andThen(Effect.promise(through.hold), (release) => {
      writer.close()
      release()
    })
    if (remove) {
      yield* close
      held.directory.state.write(values(false))
      yield* JournalDirectory.remove(held.directory.path)
      for (const segment of segments.all()) segments.drop(segment)
    } else {
      const problem = yield* Effect.promise(through.sync)
      yield* close
      if (problem === undefined && held.directory.state.write(values(true))) {
        yield* Effect.promise(() => held.directory.state.sync().catch(() => {}))
      }
    }
    yield* held.directory.release
  })
