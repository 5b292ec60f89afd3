import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { CheckpointValues } from "./CheckpointFile.ts"
import * as JournalDirectory from "./JournalDirectory.ts"
import type { JournalSync } from "./JournalSync.ts"
import type { Segments } from "./Segments.ts"
import type { SegmentWriter } from "./SegmentWriter.ts"

export interface JournalEndOptions {
  readonly held: { readonly directory: JournalDirectory.JournalDirectory }
  /** The fiber of the upkeep. */
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
  readonly segments: Segments
  readonly writer: SegmentWriter
  readonly sync: JournalSync
  readonly values: (ended: boolean) => CheckpointValues
  /** The journal is not needed any more. */
  readonly remove: boolean
}

/** Closes the segments while no sync runs. */
export const close = (sync: JournalSync, writer: SegmentWriter): Effect.Effect<void> =>
  Effect.andThen(Effect.promise(sync.hold), (release) => {
    writer.close()
    release()
  })

/**
 * Ends a journal in order: removes it, or syncs it and marks it as ended, so that the process that recovers it knows its last
 * number even after a reboot of the machine.
 */
export const end = (options: JournalEndOptions): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { fiber, held, remove, segments, sync, values, writer } = options
    // Does not wait for a disk that hangs.
    yield* Fiber.interruptFork(fiber)
    if (remove) {
      yield* close(sync, writer)
      held.directory.state.write(values(false))
      yield* JournalDirectory.remove(held.directory.path)
      for (const segment of segments.all()) segments.drop(segment)
    } else {
      const problem = yield* Effect.promise(sync.sync)
      yield* close(sync, writer)
      if (problem === undefined && held.directory.state.write(values(true))) {
        yield* Effect.promise(() => held.directory.state.sync().catch(() => {}))
      }
    }
    yield* held.directory.release
  })
