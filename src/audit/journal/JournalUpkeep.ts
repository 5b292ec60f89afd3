import * as Path from "node:path"
import * as Effect from "effect/Effect"
import type { UnsyncedFrames } from "./Frame.ts"
import * as JournalDirectory from "./JournalDirectory.ts"
import { attempt, type JournalFiles } from "./JournalFiles.ts"
import type { ReadingState } from "./JournalReader.ts"
import type { ProblemTracker } from "./JournalStatus.ts"
import type { JournalSync } from "./JournalSync.ts"
import { discard, distrust, isCut, writeAll } from "./OpenSegment.ts"
import * as Quarantine from "./Quarantine.ts"
import type { JournalIdentity } from "./SegmentHeader.ts"
import type { Segment, Segments } from "./Segments.ts"
import type { SegmentWriter } from "./SegmentWriter.ts"

export interface UpkeepOptions {
  readonly parent: string
  readonly identity: JournalIdentity
  readonly files: JournalFiles
  /** The current directory, which is created again when it vanishes. */
  readonly held: { directory: JournalDirectory.JournalDirectory }
  readonly segments: Segments
  readonly unsynced: UnsyncedFrames
  readonly writer: SegmentWriter
  readonly sync: JournalSync
  readonly problems: ProblemTracker
  readonly quarantine: string
  /** Counts what is put into the quarantine. */
  readonly reading: ReadingState
  readonly writeState: () => void
  readonly requestSync: () => void
}

/** More bytes than most events need. */
const typical = 4_096

/** Copies the bytes that are left of a cut file to the quarantine. Returns what the alarm says about them. */
const keepRest = ({ files, quarantine, reading }: UpkeepOptions, segment: Segment) =>
  Quarantine.keepRest({ files, directory: quarantine, segment }).pipe(
    Effect.map((copy) => {
      if (copy === undefined) return "Nothing is left in the file."
      reading.quarantined += 1
      return `What is left of the file is kept in ${copy}.`
    }),
    Effect.catchAll(({ message }) => Effect.succeed(`What is left of the file could not be kept: ${message}.`))
  )

/** Leaves files that something else has cut. Frames that are not synced are still in memory, and go to a new file. */
const leaveCut = (options: UpkeepOptions) =>
  Effect.gen(function* () {
    const { files, segments, sync, unsynced, writer } = options
    const before = segments.pending()
    for (const one of writer.opened().filter((opened) => isCut(files, opened))) {
      const { path } = one.segment
      const kept = yield* keepRest(options, one.segment)
      const keptSeq = unsynced.firstSeq()
      distrust(one, keptSeq ?? Number.POSITIVE_INFINITY)
      if (keptSeq === undefined) {
        segments.drop(one.segment)
        yield* Effect.ignore(attempt(path, async () => files.unlink(path)))
      }
      yield* Effect.logError(
        `ALARM: the audit journal's file ${path} was cut by another program. Of the ${before} events that the journal ` +
          `held, ${before - segments.pending()} are in no file now. Those in memory are written to the database, and receipts will ` +
          `name the others. ${kept} Let no program rotate or cut files below GRAVITAS_HOME.`
      )
    }
    sync.distrust()
    writer.reclaim()
  })

const vanished = ({ problems }: UpkeepOptions, detail: string) =>
  Effect.sync(() => problems.set("place", { reason: "failing", detail: `the directory has vanished: ${detail}` }))

/** Creates the directory again. Synced frames are lost with the old one; unsynced frames are still in memory. */
const renew = (options: UpkeepOptions) =>
  Effect.gen(function* () {
    const { files, held, identity, parent, problems, segments, sync, writer } = options
    yield* vanished(options, held.directory.path)
    const before = segments.pending()
    writer.suspend()
    sync.distrust()
    yield* held.directory.release
    const claimed = yield* JournalDirectory.claim({ parent, identity, files })
    if (claimed._tag === "Held") {
      return yield* vanished(options, `${held.directory.path} is held by ${claimed.holder}`)
    }
    held.directory = claimed.directory
    writer.resume()
    problems.set("place", undefined)
    yield* Effect.logError(
      `ALARM: the audit journal ${held.directory.path} had vanished and was created again. Of the ${before} events that it held, ` +
        `${before - segments.pending()} are in no file now. Those in memory are written to the database, and receipts will name ` +
        "the others. Keep the volume of GRAVITAS_HOME mounted."
    )
  })

/** Runs while no sync does. A disk that hangs may block this for ever, but must not block the end of the process. */
const withoutSync = <E>({ sync }: UpkeepOptions, work: Effect.Effect<void, E>) =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(Effect.promise(sync.hold)), (release) =>
      Effect.ensuring(restore(work), Effect.sync(release))
    )
  )

/** Checks whether the directory and the open files are what they were. */
const look = (options: UpkeepOptions) =>
  Effect.gen(function* () {
    const { files, held, writer } = options
    const { id, path } = held.directory
    if ((yield* attempt(path, () => files.identify(path))) !== id) yield* withoutSync(options, renew(options))
    else if (writer.opened().some((one) => isCut(files, one))) yield* withoutSync(options, leaveCut(options))
  }).pipe(Effect.catchAll(({ message }) => vanished(options, message)))

/** The work of each flush interval: sync, check whether a problem is over, and check whether the files exist. */
export const make = (options: UpkeepOptions): Effect.Effect<void> => {
  const { files, held, problems, segments, sync, writer } = options
  const probe = Buffer.alloc(typical)
  let tries = 0

  /** Whether the disk accepts a file as large as an event. */
  const accepts = (): boolean => {
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

  /** A load balancer sends no request to a gatekeeper that refuses events, so recovery must be detected without one. */
  const retry = Effect.sync(() => {
    if (problems.get("append") === undefined) return
    // Settled events may hold the space that is missing.
    writer.reclaim()
    if (writer.makeReady(typical) && accepts()) problems.set("append", undefined)
  })

  return Effect.gen(function* () {
    yield* look(options)
    yield* retry
    segments.sweep()
    writer.closeDone()
    options.writeState()
    if (sync.isDue()) options.requestSync()
  }).pipe(
    Effect.catchAllDefect((defect) =>
      Effect.logError(
        `The upkeep of the audit journal ${held.directory.path} died and runs again after the flush interval: ${String(defect)}`
      )
    )
  )
}
