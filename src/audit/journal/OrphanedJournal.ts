import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as CheckpointFile from "./CheckpointFile.ts"
import { JournalUnusable } from "./Journal.ts"
import * as JournalDirectory from "./JournalDirectory.ts"
import { attempt, type JournalFiles, nodeFiles } from "./JournalFiles.ts"
import * as JournalReader from "./JournalReader.ts"
import type { JournalStatus } from "./JournalStatus.ts"
import * as Quarantine from "./Quarantine.ts"
import * as RecoveryScan from "./RecoveryScan.ts"
import type { JournalIdentity } from "./SegmentHeader.ts"
import type { DiskQuota } from "./Segments.ts"
import * as Segments from "./Segments.ts"

export type AdoptionOutcome =
  /** Its process runs. */
  | { readonly _tag: "alive"; readonly holder: string }
  /** It belongs to another trail and is not touched. */
  | { readonly _tag: "foreign"; readonly trail: string }
  /** It was empty and is removed. */
  | { readonly _tag: "empty" }
  /** It has no events, and its counts cannot be read; the checkpoint is in the quarantine. `remove` as for a journal. */
  | { readonly _tag: "damaged"; readonly source: string; readonly remove: Effect.Effect<boolean> }
  | { readonly _tag: "adopted"; readonly journal: OrphanedJournal }

export interface AdoptionOptions {
  readonly trail: string
  readonly quota: DiskQuota
  readonly files?: JournalFiles | undefined
}

const source = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Lists the journals of living and dead processes; empty where the directory does not exist. */
export const list = (
  directory: string
): Effect.Effect<ReadonlyArray<{ readonly path: string; readonly source: string }>> =>
  Effect.promise(async () => {
    const names = await Fs.readdir(directory).catch(() => [])
    return names.filter((name) => source.test(name)).map((name) => ({ path: Path.join(directory, name), source: name }))
  })

/** Undefined if the checkpoint is missing or corrupt. A read error fails instead, since a retry may succeed. */
const readCheckpoint = (path: string, files: JournalFiles) =>
  attempt(path, async () => {
    const file = Path.join(path, CheckpointFile.stateName)
    if ((await files.identify(file)) === undefined) return undefined
    const bytes = Buffer.alloc(CheckpointFile.stateBytes)
    const read = await files.read(file, bytes, bytes.length, 0)
    return Option.getOrUndefined(CheckpointFile.decode(bytes.subarray(0, read)))
  })

/** Handles a journal of which neither the checkpoint nor a segment's header can be read. */
const adoptUnidentified = Effect.fnUntraced(function* (path: string, files: JournalFiles, hasSegments: boolean) {
  if (hasSegments) {
    return yield* new JournalUnusable({
      path,
      reason: "neither its checkpoint nor the header of a segment can be read"
    })
  }
  const checkpoint = Path.join(path, CheckpointFile.stateName)
  if ((yield* attempt(path, () => files.identify(checkpoint))) === undefined) {
    yield* JournalDirectory.remove(path)
    return { _tag: "empty" } as const
  }
  // Its process may have counted events, but the directory holds none to wait for.
  const source = Path.basename(path)
  yield* Quarantine.keepState(files, Quarantine.directoryOf(Path.dirname(path), source), checkpoint)
  return { _tag: "damaged", source, remove: JournalDirectory.remove(path) } as const
})

/** What is known of a journal before its segments are scanned. */
interface Identified {
  readonly path: string
  readonly identity: JournalIdentity
  readonly checkpoint: CheckpointFile.Checkpoint | undefined
  readonly found: ReadonlyArray<RecoveryScan.SegmentFile>
}

/** Scans the segments and returns the journal; its quota is released when the scope closes. */
const open = Effect.fnUntraced(function* (
  { checkpoint, found, identity, path }: Identified,
  { files, quota }: { readonly files: JournalFiles; readonly quota: DiskQuota }
) {
  const acknowledged = checkpoint?.acknowledged ?? 0
  const quarantine = Quarantine.directoryOf(Path.dirname(path), identity.source)
  const { scan, segments: scanned } = yield* RecoveryScan.make({ found, files, quarantine, acknowledged })
  const segments = Segments.make({ files, quota })
  for (const segment of scanned) {
    segments.add(segment)
    quota.force(segment.size)
  }
  yield* Effect.addFinalizer(() => Effect.sync(() => quota.give(segments.bytes())))

  const counts: CheckpointFile.Counts = {
    lastSeq: Math.max(checkpoint?.lastSeq ?? 0, scan.lastSeq),
    refused: checkpoint?.refused ?? 0,
    shed: checkpoint?.shed ?? 0,
    ...(checkpoint?.limiting === true ? { limiting: true } : {})
  }
  const ended = checkpoint?.ended ?? false
  const checkpointFile =
    checkpoint === undefined
      ? undefined
      : yield* Effect.acquireRelease(
          attempt(path, async () =>
            CheckpointFile.open({ files, directory: path, identity, generation: checkpoint.generation })
          ),
          (file) => Effect.sync(() => file.close())
        )
  const reading: JournalReader.ReadingState = { quarantined: scan.quarantined, problem: null }
  const settledUpTo = () => segments.acknowledged(counts.lastSeq)

  return {
    path,
    identity,
    /** Its process ended in order, after a sync of everything that it appended. */
    ended,
    /** The last number that is known, and the counts of its process. */
    counts,
    /** Every event up to this number was in the database before the recovery. */
    acknowledged,
    scan,
    /** Marks events as settled: they are in the database. Removes files that hold no others. */
    settle: (rows: ReadonlyArray<{ readonly seq: number }>) => {
      if (segments.settle(rows) === 0) return
      // Written before files are removed: an older checkpoint could not tell their last number.
      checkpointFile?.write({ ...counts, acknowledged: settledUpTo(), ended })
      segments.sweep()
    },
    /** Removes files whose events were all settled before the recovery. */
    reclaim: segments.sweep,
    readAfter: (seq: number) => JournalReader.make({ segments, files, quarantine, state: reading, after: seq }),
    status: (): JournalStatus => ({
      bytes: segments.bytes(),
      maxBytes: quota.maxBytes,
      segments: segments.all().length,
      pendingFrames: segments.pending(),
      lastSeq: counts.lastSeq,
      acknowledged: settledUpTo(),
      unsyncedBytes: 0,
      problem: null,
      readProblem: reading.problem,
      quarantined: reading.quarantined
    }),
    /** Removes the directory, once all events are in the database or accounted for. Returns false when the disk keeps it. */
    remove: JournalDirectory.remove(path)
  }
})

/** The journal of a dead process, locked by this one. */
export type OrphanedJournal = Effect.Effect.Success<ReturnType<typeof open>>

/** Locks and opens the journal at `path` until the scope closes, if its process is dead and it belongs to this trail. */
export const adopt = (
  path: string,
  { files = nodeFiles, quota, trail }: AdoptionOptions
): Effect.Effect<AdoptionOutcome, JournalUnusable, Scope.Scope> =>
  Effect.gen(function* () {
    // Another process may have recovered and removed it meanwhile.
    if ((yield* attempt(path, () => files.identify(path))) === undefined) return { _tag: "empty" } as const
    const holder = yield* JournalDirectory.hold(path)
    if (holder !== undefined) return { _tag: "alive", holder } as const
    const checkpoint = yield* readCheckpoint(path, files)
    const found = yield* RecoveryScan.files(path, files)
    const identity = checkpoint?.identity ?? RecoveryScan.identityOf(found)
    if (identity === undefined) return yield* adoptUnidentified(path, files, found.length > 0)
    if (identity.trail !== trail) return { _tag: "foreign", trail: identity.trail } as const
    return { _tag: "adopted", journal: yield* open({ path, identity, checkpoint, found }, { files, quota }) } as const
  }).pipe(
    Effect.catchTags({
      FileTrouble: ({ path, reason }) => new JournalUnusable({ path, reason }),
      LockFileUnusable: ({ path, reason }) => new JournalUnusable({ path, reason })
    })
  )
