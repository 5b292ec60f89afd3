import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as JournalDirectory from "./JournalDirectory.ts"
import type { JournalFiles } from "./JournalFiles.ts"
import { reasonOf } from "./JournalFiles.ts"
import type { JournalIdentity } from "./JournalIdentity.ts"
import type { JournalRoom } from "./JournalRoom.ts"
import { discard, writeAll } from "./NewSegment.ts"
import type { Problems } from "./Problems.ts"
import type { Segments } from "./Segments.ts"
import type { SegmentWriter } from "./SegmentWriter.ts"
import type { WriteThrough } from "./WriteThrough.ts"

export interface UpkeepOptions {
  readonly parent: string
  readonly identity: JournalIdentity
  readonly files: JournalFiles
  /** The present directory, which is made again when it vanishes. */
  readonly held: { directory: JournalDirectory.JournalDirectory }
  readonly segments: Segments
  readonly writer: SegmentWriter
  readonly room: JournalRoom
  readonly through: WriteThrough
  readonly problems: Problems
  readonly writeState: () => boolean
  readonly requestSync: () => void
}

/** As many bytes as most events take. */
const typical = 4_096

/** What is done each flush interval: writing through, looking whether a problem is over and whether the files are there. */
export const make = (options: UpkeepOptions): Effect.Effect<void> => {
  const { files, held, identity, parent, problems, room, segments, through, writer } = options
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
    const problem = problems.get("append")
    if (problem === undefined) return
    const isOver = problem.reason === "full" ? room.used() + typical <= room.maxBytes : takes()
    if (isOver) problems.set("append", undefined)
  })

  /** What was in the old one is gone, but for what is in memory: the rows that wait there are still written to the database. */
  const renew = Effect.gen(function* () {
    for (const segment of segments.all()) {
      segment.sealed = true
      segments.drop(segment)
    }
    yield* held.directory.release
    const claimed = yield* JournalDirectory.claim({ parent, identity, files })
    if (claimed._tag === "Held") {
      return problems.set("place", { reason: "failing", detail: `${held.directory.path} is held by ${claimed.holder}` })
    }
    held.directory = claimed.directory
    writer.renew()
    options.writeState()
    yield* Effect.logError(
      `ALARM: the audit journal ${held.directory.path} had vanished and was made again. What had waited in it alone is lost; ` +
        "receipts will name it. Keep the volume of GRAVITAS_HOME mounted."
    )
    problems.set("place", undefined)
  })

  const look = Effect.gen(function* () {
    const { id, path } = held.directory
    const found = yield* Effect.tryPromise({ try: () => files.identify(path), catch: reasonOf })
    if (found !== id) yield* renew
  }).pipe(
    Effect.catchAll((error) =>
      Effect.sync(() =>
        problems.set("place", { reason: "failing", detail: typeof error === "string" ? error : error.message })
      )
    )
  )

  return Effect.gen(function* () {
    yield* look
    yield* retry
    if (through.isDue()) options.requestSync()
  })
}
