import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as CheckpointFile from "./CheckpointFile.ts"
import { makeUnsyncedFrames } from "./Frame.ts"
import * as JournalDirectory from "./JournalDirectory.ts"
import { type JournalFiles, nodeFiles } from "./JournalFiles.ts"
import * as JournalReader from "./JournalReader.ts"
import { type JournalProblem, type JournalStatus, type Problem, trackProblems } from "./JournalStatus.ts"
import * as JournalSync from "./JournalSync.ts"
import * as JournalUpkeep from "./JournalUpkeep.ts"
import * as Quarantine from "./Quarantine.ts"
import type { JournalIdentity } from "./SegmentHeader.ts"
import type { DiskQuota } from "./Segments.ts"
import * as Segments from "./Segments.ts"
import * as SegmentWriter from "./SegmentWriter.ts"

/** A journal cannot be created or read. */
export class JournalUnusable extends Schema.TaggedError<JournalUnusable>()("JournalUnusable", {
  path: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return (
      `the audit journal ${this.path} is not usable: ${this.reason}. Free disk space there and check the permissions, ` +
      "or set GRAVITAS_HOME to another directory"
    )
  }
}

/** Another process, or another part of this process, holds the journal. */
export class JournalInUse extends Schema.TaggedError<JournalInUse>()("JournalInUse", {
  path: Schema.String,
  holder: Schema.String
}) {
  override get message(): string {
    return `the audit journal ${this.path} is in use by ${this.holder}. Stop that process, or leave its journal to it`
  }
}

export interface JournalOptions {
  /** The directory of all journals, with one directory for each incarnation. */
  readonly directory: string
  readonly identity: JournalIdentity
  /** Shared with the journals that this process recovers. */
  readonly quota: DiskQuota
  /** The size at which the next segment begins; by default 16 MiB, or a quarter of the quota. */
  readonly segmentBytes?: number | undefined
  /** How often the journal is synced where no answer waits for that. */
  readonly flushInterval: Duration.DurationInput
  readonly files?: JournalFiles | undefined
}

/** The journal of a living process: holds its events from before their answers until they are in the database. */
export interface Journal {
  readonly path: string
  /**
   * Appends an event. Returns undefined when it is in the file and survives the process. `seq` must rise; `json` is canonical,
   * without raw control characters. Synchronous, never throws. A failed write leaves no trace, so its number can be reused.
   */
  readonly append: (seq: number, json: string) => JournalProblem | undefined
  /**
   * Calls back when everything appended so far is on the disk, or with the reason why it is not; at once when nothing waits.
   * One sync serves all callers, and runs outside the event loop.
   */
  readonly whenSynced: (done: (problem?: JournalProblem) => void) => void
  /** Marks events as settled: in the table or among the dead letters. Removes files that hold no others. */
  readonly settle: (rows: ReadonlyArray<{ readonly seq: number }>) => void
  /** Reads events with a higher number, in order. */
  readonly readAfter: (seq: number) => JournalReader.JournalReader
  /** Writes the counts to the checkpoint, at once, and on a full disk too. Never throws. */
  readonly note: (counts: CheckpointFile.Counts) => void
  readonly status: () => JournalStatus
  /** Set while events are accepted but a sync does not return. Null while the disk answers in time. */
  readonly hanging: () => Problem
  /**
   * Ends the journal in order. With `remove` everything is settled and signed off, and the directory is removed. Otherwise the
   * journal is synced, marked as ended, and left to the process that recovers it.
   */
  readonly end: (options: { readonly remove: boolean }) => Effect.Effect<void>
}

const defaultSegmentBytes = 16 * 2 ** 20

/** Bytes of unsynced frames in memory; at the limit nothing more is appended. */
const unsyncedLimit = 64 * 2 ** 20

/** At this size a sync starts before the flush interval ends. */
const unsyncedDue = unsyncedLimit / 4

/** How long a close waits for a sync in progress. After that the files stay open until the process ends. */
const closePatience = "1 second"

/** Creates the directory of the journal and holds its lock until the scope closes. */
const claimDirectory = ({ directory: parent, files = nodeFiles, identity }: JournalOptions) =>
  Effect.acquireRelease(
    JournalDirectory.claim({ parent, identity, files }).pipe(
      Effect.mapError(({ path, reason }) => new JournalUnusable({ path, reason })),
      Effect.flatMap((claimed) =>
        claimed._tag === "Held"
          ? new JournalInUse({ path: parent, holder: claimed.holder })
          : Effect.succeed({ directory: claimed.directory })
      )
    ),
    ({ directory }) => directory.release
  )

const makeParts = (
  options: JournalOptions,
  held: { directory: JournalDirectory.JournalDirectory },
  now: () => number
) => {
  const { files = nodeFiles, identity, quota } = options
  const { path } = held.directory
  const segments = Segments.make({ files, quota })
  const unsynced = makeUnsyncedFrames(unsyncedLimit)
  const segmentBytes = options.segmentBytes ?? Math.min(defaultSegmentBytes, Math.floor(quota.maxBytes / 4))
  const writer = SegmentWriter.make({ path, identity, files, quota, segmentBytes, segments, unsynced })
  const sync = JournalSync.make({ path, files, writer, unsynced })
  const problems = trackProblems(now)
  const watchdog = JournalSync.makeSyncWatchdog({ now, flushInterval: options.flushInterval, path })
  const commit = JournalSync.makeGroupCommit(() =>
    watchdog.during(sync.sync).then((problem) => {
      problems.set("sync", problem)
      return problem
    })
  )
  let counts: CheckpointFile.Counts = { lastSeq: 0, refused: 0, shed: 0 }
  const values = (ended = false): CheckpointFile.CheckpointValues => {
    const lastSeq = Math.max(counts.lastSeq, writer.lastSeq())
    return { ...counts, lastSeq, acknowledged: segments.acknowledged(lastSeq), ended }
  }
  const writeCheckpoint = () => held.directory.state.write(values())
  const note = (next: CheckpointFile.Counts) => {
    counts = next
    writeCheckpoint()
  }
  return { held, path, segments, unsynced, writer, sync, problems, watchdog, commit, values, writeCheckpoint, note }
}

type JournalParts = ReturnType<typeof makeParts>

/** Closes the segments while no sync runs. */
const closeSegments = ({ sync, writer }: JournalParts) =>
  Effect.andThen(Effect.promise(sync.hold), (release) => {
    writer.close()
    release()
  })

/**
 * Ends a journal in order: removes it, or syncs it and marks it as ended, so that the process that recovers it knows its last
 * number even after a reboot of the machine.
 */
const endJournal = Effect.fnUntraced(function* (
  parts: JournalParts,
  upkeep: Fiber.RuntimeFiber<unknown, unknown>,
  remove: boolean
) {
  const { held, segments, sync, values } = parts
  // Does not wait for a disk that hangs.
  yield* Fiber.interruptFork(upkeep)
  if (remove) {
    yield* closeSegments(parts)
    held.directory.state.write(values(false))
    yield* JournalDirectory.remove(held.directory.path)
    for (const segment of segments.all()) segments.drop(segment)
  } else {
    const problem = yield* Effect.promise(sync.sync)
    yield* closeSegments(parts)
    if (problem === undefined && held.directory.state.write(values(true))) {
      yield* Effect.promise(() => held.directory.state.sync().catch(() => {}))
    }
  }
  yield* held.directory.release
})

/** Requests a sync that no answer waits for, unless one was requested already. After a failed one the upkeep requests the next. */
const makeRequestSync = (commit: JournalSync.GroupCommit) => {
  let requested = false
  return {
    isRequested: () => requested,
    request: () => {
      requested = true
      commit.request((problem) => {
        requested = problem !== undefined
      })
    }
  }
}

/** Creates the journal of a new incarnation. Closing the scope without `end` leaves the journal as a crash would. */
export const open = Effect.fnUntraced(function* (
  options: JournalOptions
): Effect.fn.Return<Journal, JournalUnusable | JournalInUse, Scope.Scope> {
  const { directory: parent, files = nodeFiles, identity, quota } = options
  const clock = yield* Effect.clock
  const held = yield* claimDirectory(options)
  const parts = makeParts(options, held, () => clock.unsafeCurrentTimeMillis())
  const { commit, path, problems, segments, sync, unsynced, values, watchdog, writeCheckpoint, writer } = parts
  const quarantine = Quarantine.directoryOf(parent, identity.source)
  const reading: JournalReader.ReadingState = { quarantined: 0, problem: null }
  const early = makeRequestSync(commit)
  const requestSync = early.request
  const upkeep = JournalUpkeep.make({
    ...{ parent, identity, files, held, segments, unsynced, writer, sync, problems, requestSync },
    ...{ quarantine, reading },
    writeState: writeCheckpoint
  })
  const fiber = yield* Effect.forkScoped(
    Effect.repeat(Effect.zipRight(Effect.sleep(options.flushInterval), upkeep), Schedule.forever).pipe(
      Effect.disconnect
    )
  )
  let hasEnd = false
  yield* Effect.addFinalizer(() =>
    hasEnd ? Effect.void : closeSegments(parts).pipe(Effect.interruptible, Effect.timeoutOption(closePatience))
  )

  return {
    path,
    append: (seq, json) => {
      const problem = writer.append(seq, json)
      problems.set("append", problem)
      if (!early.isRequested() && unsynced.waiting() >= unsyncedDue) requestSync()
      return problem
    },
    whenSynced: (done) => (sync.isDue() ? commit.request(done) : done()),
    settle: (rows) => {
      if (segments.settle(rows) === 0) return
      // Written before files are removed: an older checkpoint could not tell their last number.
      writeCheckpoint()
      if (!segments.hasObsolete()) return
      segments.sweep()
      writer.closeDone()
    },
    readAfter: (seq) => JournalReader.make({ segments, files, quarantine, state: reading, after: seq }),
    note: parts.note,
    hanging: watchdog.hanging,
    status: () => {
      const hanging = watchdog.hanging()
      const { acknowledged, lastSeq } = values()
      return {
        bytes: quota.used(),
        maxBytes: quota.maxBytes,
        segments: segments.all().length,
        pendingFrames: segments.pending(),
        lastSeq,
        acknowledged,
        unsyncedBytes: unsynced.waiting(),
        problem: problems.current() ?? (hanging === null ? null : { reason: "hanging", ...hanging }),
        readProblem: reading.problem,
        quarantined: reading.quarantined
      }
    },
    end: ({ remove }) =>
      Effect.suspend(() => {
        hasEnd = true
        return endJournal(parts, fiber, remove)
      })
  }
})
