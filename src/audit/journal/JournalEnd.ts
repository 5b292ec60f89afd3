import * as Fs from "node:fs/promises"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { JournalDirectory } from "./JournalDirectory.ts"
import type { StateValues } from "./JournalState.ts"
import type { SegmentWriter } from "./SegmentWriter.ts"
import type { WriteThrough } from "./WriteThrough.ts"

export interface JournalEndOptions {
  readonly held: { readonly directory: JournalDirectory }
  /** The upkeep's. */
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
  readonly writer: SegmentWriter
  readonly through: WriteThrough
  readonly values: (ended: boolean) => StateValues
  /** Nobody needs it any more. */
  readonly remove: boolean
}

/**
 * Ends a journal in order: removed, or written through to the disk and marked as ended, so that whoever finds it knows its last
 * number even when the machine was started anew in between.
 */
export const end = ({ fiber, held, remove, through, values, writer }: JournalEndOptions): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* Fiber.interruptFork(fiber)
    const { path, release, state } = held.directory
    if (remove) {
      yield* Effect.promise(() => through.exclusive(async () => writer.close()))
      yield* Effect.promise(() => Fs.rm(path, { recursive: true, force: true }).catch(() => {}))
      return yield* release
    }
    const problem = yield* Effect.promise(through.sync)
    yield* Effect.promise(() => through.exclusive(async () => writer.close()))
    if (problem === undefined) {
      state.write(values(true))
      yield* Effect.promise(() => state.sync().catch(() => {}))
    }
    yield* release
  })
