import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as JournalDirectory from "./JournalDirectory.ts"
import { attempt, type JournalFiles } from "./JournalFiles.ts"
import type { JournalIdentity } from "./JournalIdentity.ts"
import type { ProblemTracker } from "./JournalStatus.ts"
import type { JournalSync } from "./JournalSync.ts"
import { discard, writeAll } from "./NewSegment.ts"
import type { Segments } from "./Segments.ts"
import type { SegmentWriter } from "./SegmentWriter.ts"

export interface UpkeepOptions {
  readonly parent: string
  readonly identity: JournalIdentity
  readonly files: JournalFiles
  /** The present directory, which is made again when it vanishes. */
  readonly held: { directory: JournalDirectory.JournalDirectory }
  readonly segments: Segments
  readonly writer: SegmentWriter
  readonly through: JournalSync
  readonly problems: ProblemTracker
  readonly writeState: () => void
  readonly requestSync: () => void
}

/** As many bytes as most events take. */
const typical = 4_096

/** What is done each flush interval: writing through, looking whether a problem is over and whether the files are there. */
export const make = (options: UpkeepOptions): Effect.Effect<void> => {
  const { files, held, identity, parent, problems, segments, through, writer } = options
  const probe = Buffer.alloc(typical)
  let tries = 0

  /** Whether the disk takes so much as an event. */
  const takes = (): boolean => {
    tries += 1
    const path = Path.join(held.directory.path, `probe-${tries}`)
    try {
      const fd = files.create(path)
      try {
        writeAll(files, fd, probe, 0, probe.length, 0)
        return true
      } finally {
        discard(files, fd, path)
      }
    } catch {
      return false
    }
  }

  /** A balancer sends nothing to a gatekeeper that takes no event: that it takes some again has to be known without one. */
  const retry = Effect.sync(() => {
    if (problems.get("append") === undefined) return
    if (writer.isReady(typical) && takes()) problems.set("append", undefined)
  })

  const vanished = (detail: string) =>
    Effect.sync(() => problems.set("place", { reason: "failing", detail: `the directory has vanished: ${detail}` }))

  /** What had reached the disk is gone with it; what had not is in memory still, and goes into the new one. */
  const renew = Effect.gen(function* () {
    yield* vanished(held.directory.path)
    const before = segments.pending()
    writer.forsake()
    through.distrust()
    yield* held.directory.release
    const claimed = yield* JournalDirectory.claim({ parent, identity, files })
    if (claimed._tag === "Held") return yield* vanished(`${held.directory.path} is held by ${claimed.holder}`)
    held.directory = claimed.directory
    writer.goOn()
    problems.set("place", undefined)
    yield* Effect.logError(
      `ALARM: the audit journal ${held.directory.path} had vanished and was made again. Of the ${before} events that it held, ` +
        `${before - segments.pending()} are in no file now; those that the memory holds are written to the database all the ` +
        "same, and receipts will name the others. Keep the volume of GRAVITAS_HOME mounted."
    )
  })

  const look = Effect.gen(function* () {
    const { id, path } = held.directory
    if ((yield* attempt(path, () => files.identify(path))) === id) return
    yield* Effect.uninterruptibleMask((restore) =>
      // A disk that hangs may keep this waiting for ever: the end of the process must not.
      Effect.flatMap(restore(Effect.promise(through.hold)), (release) =>
        Effect.ensuring(restore(renew), Effect.sync(release))
      )
    )
  }).pipe(Effect.catchAll(({ message }) => vanished(message)))

  return Effect.gen(function* () {
    yield* look
    yield* retry
    segments.sweep()
    writer.closeDone()
    options.writeState()
    if (through.isDue()) options.requestSync()
  }).pipe(
    Effect.catchAllDefect((defect) =>
      Effect.logError(
        `The upkeep of the audit journal ${held.directory.path} died and goes on at the next turn: ${String(defect)}`
      )
    )
  )
}
