import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as CheckpointFile from "./CheckpointFile.ts"
import type { DiskQuota } from "./DiskQuota.ts"
import * as GroupCommit from "./GroupCommit.ts"
import * as JournalDirectory from "./JournalDirectory.ts"
import * as JournalEnd from "./JournalEnd.ts"
import { type JournalFiles, nodeFiles } from "./JournalFiles.ts"
import type { JournalIdentity } from "./JournalIdentity.ts"
import * as JournalReader from "./JournalReader.ts"
import { type JournalProblem, type JournalStatus, trackProblems } from "./JournalStatus.ts"
import * as JournalSync from "./JournalSync.ts"
import * as JournalUpkeep from "./JournalUpkeep.ts"
import * as Quarantine from "./Quarantine.ts"
import * as Segments from "./Segments.ts"
import * as SegmentWriter from "./SegmentWriter.ts"
import * as SyncWatchdog from "./SyncWatchdog.ts"
import * as UnsyncedFrames from "./UnsyncedFrames.ts"

/** A journal cannot be made or read. */
export class JournalUnusable extends Schema.TaggedError<JournalUnusable>()("JournalUnusable", {
  path: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return (
      `the audit journal ${this.path} is not usable: ${this.reason}. Make room there and check the rights, ` +
      "or set GRAVITAS_HOME to another directory"
    )
  }
}

/** Another process, or another part of this one, has the journal. */
export class JournalInUse extends Schema.TaggedError<JournalInUse>()("JournalInUse", {
  path: Schema.String,
  holder: Schema.String
}) {
  override get message(): string {
    return `the audit journal ${this.path} is in use by ${this.holder}. Stop that process, or leave its journal to it`
  }
}

export type Counts = CheckpointFile.Counts

export interface JournalOptions {
  /** Where the journals of a home are, one directory for each incarnation. */
  readonly directory: string
  readonly identity: JournalIdentity
  /** Shared with the journals that this process takes over. */
  readonly room: DiskQuota
  /** A segment that has as many bytes is followed by the next; by default 16 MiB, or a quarter of the room. */
  readonly segmentBytes?: number | undefined
  /** How often it is written through to the disk where nobody waits for that. */
  readonly flushInterval: Duration.DurationInput
  readonly files?: JournalFiles | undefined
}

/** The journal of a living incarnation: holds its events from before their answers until they are in the database. */
export interface Journal {
  readonly path: string
  /**
   * Undefined: the event is in the file, and survives the process. `seq` rises; `json` is canonical, without raw control
   * characters. Synchronous, never throws. A failed or short write leaves no trace, so the number can be given again.
   */
  readonly append: (seq: number, json: string) => JournalProblem | undefined
  /**
   * Calls back when all that was appended so far is on the disk, or with the reason why it is not; at once when it is there
   * already. One write-through serves all who wait, and none of it is on the event loop.
   */
  readonly whenSynced: (done: (problem?: JournalProblem) => void) => void
  /** These events are in the database, table or dead letters. Files that hold no others are removed. */
  readonly settle: (rows: ReadonlyArray<{ readonly seq: number }>) => void
  /** Reads events with a higher number, in order. */
  readonly readAfter: (seq: number) => JournalReader.JournalReader
  /** Writes the counts down, at once and on a full disk too. Never throws. */
  readonly note: (counts: Counts) => void
  readonly status: () => JournalStatus
  /** What was appended is taken, and nobody knows when it will be on the disk. Null while the disk answers in good time. */
  readonly hanging: () => SyncWatchdog.HungSync | null
  /**
   * The orderly end. With `remove` everything is settled and signed off, and the directory goes; otherwise all is written
   * through to the disk, marked as ended, and left to the next process.
   */
  readonly end: (options: { readonly remove: boolean }) => Effect.Effect<void>
}

const defaultSegmentBytes = 16 * 2 ** 20

/** Frames kept in memory until they are on the disk; at the limit nothing more is appended. */
const unsyncedLimit = 64 * 2 ** 20

/** So much is written through without waiting for the flush interval. */
const unsyncedDue = unsyncedLimit / 4

/** A disk that takes longer to let go of the files than this may keep them until the process is gone. */
const letGo = "1 second"

/** Makes the journal of a new incarnation and holds its lock until the scope closes; with no `end` before, as if it had died. */
export const open = Effect.fnUntraced(function* (
  options: JournalOptions
): Effect.fn.Return<Journal, JournalUnusable | JournalInUse, Scope.Scope> {
  const { directory: parent, files = nodeFiles, identity, room } = options
  const clock = yield* Effect.clock
  const claim = JournalDirectory.claim({ parent, identity, files }).pipe(
    Effect.mapError(({ path, reason }) => new JournalUnusable({ path, reason }))
  )
  const held = yield* Effect.acquireRelease(
    Effect.flatMap(claim, (claimed) =>
      claimed._tag === "Held"
        ? new JournalInUse({ path: parent, holder: claimed.holder })
        : Effect.succeed({ directory: claimed.directory })
    ),
    ({ directory }) => directory.release
  )
  const { path } = held.directory
  const quarantine = Quarantine.directoryOf(parent, identity.source)

  const segments = Segments.make({ files, room })
  const unsynced = UnsyncedFrames.make(unsyncedLimit)
  const segmentBytes = options.segmentBytes ?? Math.min(defaultSegmentBytes, Math.floor(room.maxBytes / 4))
  const writer = SegmentWriter.make({ path, identity, files, room, segmentBytes, segments, unsynced })
  const through = JournalSync.make({ path, files, writer, unsynced })
  const now = () => clock.unsafeCurrentTimeMillis()
  const problems = trackProblems(now)
  const disk = SyncWatchdog.make({ now, flushInterval: options.flushInterval, path })
  const reading: JournalReader.ReadingState = { quarantined: 0, problem: null }
  const commit = GroupCommit.make(() =>
    disk.during(through.sync).then((problem) => {
      problems.set("sync", problem)
      return problem
    })
  )

  /** A write-through is under way that nobody asked for; after one that failed the upkeep asks next. */
  let asked = false
  const requestSync = () => {
    asked = true
    commit.request((problem) => {
      asked = problem !== undefined
    })
  }

  let counts: Counts = { lastSeq: 0, refused: 0, shed: 0 }
  const values = (ended = false): CheckpointFile.CheckpointValues => {
    const lastSeq = Math.max(counts.lastSeq, writer.lastSeq())
    return { ...counts, lastSeq, acknowledged: segments.acknowledged(lastSeq), ended }
  }
  const writeState = () => held.directory.state.write(values())

  const upkeep = JournalUpkeep.make({
    parent,
    identity,
    files,
    held,
    segments,
    writer,
    through,
    problems,
    writeState,
    requestSync
  })
  const fiber = yield* Effect.forkScoped(
    Effect.repeat(Effect.zipRight(Effect.sleep(options.flushInterval), upkeep), Schedule.forever).pipe(
      Effect.disconnect
    )
  )
  let hasEnd = false
  const close = Effect.andThen(Effect.promise(through.hold), (release) => {
    writer.close()
    release()
  })
  yield* Effect.addFinalizer(() =>
    hasEnd ? Effect.void : close.pipe(Effect.interruptible, Effect.timeoutOption(letGo))
  )

  return {
    path,
    append: (seq, json) => {
      const problem = writer.append(seq, json)
      problems.set("append", problem)
      if (!asked && unsynced.waiting() >= unsyncedDue) requestSync()
      return problem
    },
    whenSynced: (done) => (through.isDue() ? commit.request(done) : done()),
    settle: (rows) => {
      if (segments.settle(rows) === 0) return
      // Before files go: a state that knows nothing of them could not say later what their last number was.
      writeState()
      if (!segments.hasNeedless()) return
      segments.sweep()
      writer.closeDone()
    },
    readAfter: (seq) => JournalReader.make({ segments, files, quarantine, state: reading, after: seq }),
    note: (next) => {
      counts = next
      writeState()
    },
    hanging: disk.hanging,
    status: () => {
      const hanging = disk.hanging()
      const { acknowledged, lastSeq } = values()
      return {
        bytes: room.used(),
        maxBytes: room.maxBytes,
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
        return JournalEnd.end({ held, fiber, remove, segments, writer, through, values })
      })
  }
})
