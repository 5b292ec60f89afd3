import * as Fs from "node:fs/promises"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as CheckpointFile from "./CheckpointFile.ts"
import type { DiskQuota } from "./DiskQuota.ts"
import { type Counts, JournalUnusable } from "./Journal.ts"
import * as JournalDirectory from "./JournalDirectory.ts"
import { attempt, type JournalFiles, nodeFiles } from "./JournalFiles.ts"
import type { JournalIdentity } from "./JournalIdentity.ts"
import * as JournalReader from "./JournalReader.ts"
import type { JournalStatus } from "./JournalStatus.ts"
import * as Quarantine from "./Quarantine.ts"
import * as RecoveryScan from "./RecoveryScan.ts"
import * as Segments from "./Segments.ts"

/** The journal of an incarnation whose process is gone, held by this one. */
export interface OrphanedJournal {
  readonly path: string
  readonly identity: JournalIdentity
  /** It ended in order, with all that it had appended on the disk. */
  readonly ended: boolean
  /** The last number that is known, and what its process counted. */
  readonly counts: Counts
  /** Every event up to this number was in the database when the journal was taken over. */
  readonly acknowledged: number
  readonly scan: RecoveryScan.RecoveryScan
  /** These events are in the database. Files that hold no others are removed. */
  readonly settle: (rows: ReadonlyArray<{ readonly seq: number }>) => void
  readonly readAfter: (seq: number) => JournalReader.JournalReader
  readonly status: () => JournalStatus
  /** Removes the directory, when all of it is in the database or accounted for. False when the disk keeps it. */
  readonly remove: Effect.Effect<boolean>
}

export type AdoptionOutcome =
  /** Its process lives. */
  | { readonly _tag: "alive"; readonly holder: string }
  /** Of another trail: left as it is. */
  | { readonly _tag: "foreign"; readonly trail: string; readonly bytes: number }
  /** There was nothing in it; it is removed. */
  | { readonly _tag: "empty" }
  /** It has no events, and what its process counted cannot be read; the state is in the quarantine. `remove` as of a journal. */
  | { readonly _tag: "damaged"; readonly source: string; readonly remove: Effect.Effect<boolean> }
  | { readonly _tag: "adopted"; readonly journal: OrphanedJournal }

export interface AdoptionOptions {
  /** The trail that this process writes to. */
  readonly trail: string
  readonly room: DiskQuota
  readonly files?: JournalFiles | undefined
}

const source = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** The directories that are journals, of the living and the dead; none where there is no such directory. */
export const list = (
  directory: string
): Effect.Effect<ReadonlyArray<{ readonly path: string; readonly source: string }>> =>
  Effect.promise(async () => {
    const names = await Fs.readdir(directory).catch(() => [])
    return names.filter((name) => source.test(name)).map((name) => ({ path: Path.join(directory, name), source: name }))
  })

/** None where there is no state, or none that is whole. What cannot be read now may be read the next time: it is no such case. */
const readState = (path: string, files: JournalFiles) =>
  attempt(path, async () => {
    const file = Path.join(path, CheckpointFile.stateName)
    if ((await files.identify(file)) === undefined) return undefined
    const bytes = Buffer.alloc(CheckpointFile.stateBytes)
    const read = await files.read(file, bytes, bytes.length, 0)
    return Option.getOrUndefined(CheckpointFile.decode(bytes.subarray(0, read)))
  })

/** Takes over the journal at `path` until the scope closes, where its process is gone and it is of this trail. */
export const adopt = (
  path: string,
  { files = nodeFiles, room, trail }: AdoptionOptions
): Effect.Effect<AdoptionOutcome, JournalUnusable, Scope.Scope> =>
  Effect.gen(function* () {
    // Another process was quicker to take it over and to remove it.
    if ((yield* attempt(path, () => files.identify(path))) === undefined) return { _tag: "empty" } as const
    const lock = yield* Effect.acquireRelease(
      JournalDirectory.lock(path, Os.hostname()),
      Option.match({ onNone: () => Effect.void, onSome: ({ release }) => release })
    )
    if (Option.isNone(lock)) return { _tag: "alive", holder: yield* JournalDirectory.holderOf(path) } as const
    const state = yield* readState(path, files)
    const found = yield* RecoveryScan.files(path, files)
    const identity = state?.identity ?? RecoveryScan.identityOf(found)
    if (identity === undefined) {
      const stateFile = Path.join(path, CheckpointFile.stateName)
      const hasState = (yield* attempt(path, () => files.identify(stateFile))) !== undefined
      if (found.length === 0 && !hasState) {
        yield* JournalDirectory.remove(path)
        return { _tag: "empty" } as const
      }
      // It may have counted events: the directory is not empty. But there is nothing in it to wait for.
      if (found.length === 0) {
        const source = Path.basename(path)
        yield* Quarantine.keepState(files, Quarantine.directoryOf(Path.dirname(path), source), stateFile)
        return { _tag: "damaged", source, remove: JournalDirectory.remove(path) } as const
      }
      return yield* new JournalUnusable({ path, reason: "neither its state nor the header of a segment can be read" })
    }
    if (identity.trail !== trail) {
      return { _tag: "foreign", trail: identity.trail, bytes: found.reduce((sum, { size }) => sum + size, 0) } as const
    }

    const acknowledged = state?.acknowledged ?? 0
    const quarantine = Quarantine.directoryOf(Path.dirname(path), identity.source)
    const { segments: scanned, scan } = yield* RecoveryScan.make({ found, files, quarantine, acknowledged })
    const segments = Segments.make({ files, room })
    for (const segment of scanned) {
      segments.add(segment)
      room.force(segment.size)
    }
    yield* Effect.addFinalizer(() => Effect.sync(() => room.give(segments.bytes())))

    const counts: Counts = {
      lastSeq: Math.max(state?.lastSeq ?? 0, scan.lastSeq),
      refused: state?.refused ?? 0,
      shed: state?.shed ?? 0
    }
    const ended = state?.ended ?? false
    const stateFile =
      state === undefined
        ? undefined
        : yield* Effect.acquireRelease(
            attempt(path, async () =>
              CheckpointFile.open({ files, directory: path, identity, generation: state.generation })
            ),
            (open) => Effect.sync(() => open.close())
          )
    const reading: JournalReader.ReadingState = { quarantined: scan.quarantined, problem: null }

    const journal: OrphanedJournal = {
      path,
      identity,
      ended,
      counts,
      acknowledged,
      scan,
      settle: (rows) => {
        if (segments.settle(rows) === 0) return
        // Before files go: a state that knows nothing of them could not say later what their last number was.
        stateFile?.write({ ...counts, acknowledged: segments.acknowledged(counts.lastSeq), ended })
        segments.sweep()
      },
      readAfter: (seq) => JournalReader.make({ segments, files, quarantine, state: reading, after: seq }),
      status: () => ({
        bytes: segments.bytes(),
        maxBytes: room.maxBytes,
        segments: segments.all().length,
        pendingFrames: segments.pending(),
        lastSeq: counts.lastSeq,
        acknowledged: segments.acknowledged(counts.lastSeq),
        unsyncedBytes: 0,
        problem: null,
        readProblem: reading.problem,
        quarantined: reading.quarantined
      }),
      remove: JournalDirectory.remove(path)
    }
    return { _tag: "adopted", journal } as const
  }).pipe(
    Effect.catchTags({
      FileTrouble: ({ path, reason }) => new JournalUnusable({ path, reason }),
      LockFileUnusable: ({ path, reason }) => new JournalUnusable({ path, reason })
    })
  )
