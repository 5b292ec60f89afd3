import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as OsLock from "../../platform/os/OsLock.ts"
import * as CheckpointFile from "../journal/CheckpointFile.ts"
import { holderOf, lockName } from "../journal/JournalDirectory.ts"
import { type FileTrouble, nodeFiles } from "../journal/JournalFiles.ts"
import { list } from "../journal/OrphanedJournal.ts"
import * as Quarantine from "../journal/Quarantine.ts"
import * as RecoveryScan from "../journal/RecoveryScan.ts"
import type { JournalIdentity } from "../journal/SegmentHeader.ts"
import * as SegmentScan from "../journal/SegmentScan.ts"
import { nameOf } from "../journal/Segments.ts"
import * as SeqRanges from "../journal/SeqRanges.ts"

export interface SegmentReport {
  readonly name: string
  readonly bytes: number
  readonly header: "whole" | "damaged" | "of a newer format"
  readonly records: number
  /** Null without records. */
  readonly firstSeq: number | null
  readonly lastSeq: number | null
  /** Damaged spans before the last record, and their bytes. */
  readonly corruptSpans: number
  readonly corruptBytes: number
  /** Bytes at the end that an interrupted or failed write left. */
  readonly tornBytes: number
}

/** The contents of a journal's files. */
export interface JournalReport {
  readonly path: string
  /** The process that writes the journal or takes it over; null when no process holds it. */
  readonly holder: string | null
  /** From the checkpoint, or from a segment's header; null when neither can be read. */
  readonly identity: JournalIdentity | null
  /** The checkpoint; null when its file is missing or damaged. */
  readonly state: CheckpointFile.Checkpoint | null
  readonly segments: ReadonlyArray<SegmentReport>
  /** Numbers of the records that may not be settled. Ascending. */
  readonly pending: ReadonlyArray<SeqRanges.SeqRange>
  readonly bytes: number
  /** Damaged spans in the quarantine. */
  readonly quarantined: number
}

/** A record or a damaged span of a journal, with its place. */
export type JournalRecord = { readonly segment: string } & (
  | SegmentScan.FrameFound
  | {
      readonly _tag: "Damage"
      readonly offset: number
      readonly bytes: number
      readonly kind: "corrupt" | "torn"
    }
)

/** Whether Linux lists a lock on the inode; undefined on other systems. */
const isLocked = async (inode: number): Promise<boolean | undefined> => {
  const table = await Fs.readFile("/proc/locks", "utf8").catch(() => undefined)
  return table?.split("\n").some((line) => line.includes("OFDLCK") && line.includes(`:${inode} `))
}

/** Returns the process that holds the journal at `path` at this moment; null when there is none. */
const holderNow = (path: string): Effect.Effect<string | null> =>
  Effect.gen(function* () {
    const file = Path.join(path, lockName)
    const found = yield* Effect.promise(() => Fs.stat(file).catch(() => undefined))
    if (found === undefined) return null
    const locked = yield* Effect.promise(() => isLocked(found.ino))
    if (locked !== undefined) return locked ? yield* holderOf(path) : null
    // Other systems do not list locks: acquire it for a moment.
    const lock = Option.flatten(yield* Effect.option(OsLock.tryAcquire(file)))
    if (Option.isNone(lock)) return yield* holderOf(path)
    yield* lock.value.release
    return null
  })

/** A running process removes settled segments at any moment, so a listed file may be missing when it is opened. */
const isGone = ({ reason }: FileTrouble): boolean => reason.includes("ENOENT")

/** Reads the segments of a journal with their headers, oldest first. */
export const segmentsOf = (path: string) =>
  RecoveryScan.files(path, nodeFiles).pipe(Effect.retry({ schedule: Schedule.recurs(5), while: isGone }))

/** Streams the records of one file and its damage, in order. */
export const recordsIn = (
  file: RecoveryScan.SegmentFile,
  files: ReadonlyArray<RecoveryScan.SegmentFile>,
  texts: boolean
): Stream.Stream<JournalRecord, FileTrouble> =>
  Stream.suspend(() => {
    const { header, index, path, size } = file
    if (header._tag === "Newer") return Stream.empty
    const end = Math.min(size, RecoveryScan.endings(files).get(index)?.end ?? size)
    const isLast = files.at(-1) === file
    const scan = SegmentScan.make({
      path,
      files: nodeFiles,
      seeds: RecoveryScan.seedsOf(header),
      from: header._tag === "Valid" ? header.length : 0,
      end: () => end,
      window: SegmentScan.makeWindow(),
      texts
    })
    const segment = nameOf(index)
    const recordOf = (found: SegmentScan.Found): JournalRecord => {
      if (found._tag === "Frame") return { ...found, segment }
      const { from, to } = found
      const kind = to >= end && isLast ? "torn" : "corrupt"
      return { _tag: "Damage", segment, offset: from, bytes: to - from, kind }
    }
    return Stream.paginateChunkEffect(undefined, () =>
      Effect.map(scan.next(256), (found) => [
        Chunk.unsafeFromArray(found.map(recordOf)),
        found.length === 0 ? Option.none() : Option.some(undefined)
      ])
    )
  }).pipe(Stream.catchSome((trouble) => (isGone(trouble) ? Option.some(Stream.empty) : Option.none())))

/** Streams every record and damaged span of a journal, in constant memory. Changes nothing. */
export const recordsOf = (path: string): Stream.Stream<JournalRecord, FileTrouble> =>
  Stream.unwrap(
    Effect.map(segmentsOf(path), (files) =>
      Stream.flatMap(Stream.fromIterable(files), (file) => recordsIn(file, files, true))
    )
  )

const headers = { Valid: "whole", Damaged: "damaged", Newer: "of a newer format" } as const

const readSegment = (
  file: RecoveryScan.SegmentFile,
  files: ReadonlyArray<RecoveryScan.SegmentFile>,
  onSeq: (seq: number) => void
): Effect.Effect<SegmentReport, FileTrouble> => {
  const start: SegmentReport = {
    name: nameOf(file.index),
    bytes: file.size,
    header: headers[file.header._tag],
    records: 0,
    firstSeq: null,
    lastSeq: null,
    corruptSpans: 0,
    corruptBytes: 0,
    tornBytes: 0
  }
  return Stream.runFold(recordsIn(file, files, false), start, (report, one): SegmentReport => {
    if (one._tag === "Frame") {
      onSeq(one.seq)
      return { ...report, records: report.records + 1, firstSeq: report.firstSeq ?? one.seq, lastSeq: one.seq }
    }
    return one.kind === "torn"
      ? { ...report, tornBytes: report.tornBytes + one.bytes }
      : { ...report, corruptSpans: report.corruptSpans + 1, corruptBytes: report.corruptBytes + one.bytes }
  })
}

const readCheckpoint = (path: string) =>
  Effect.promise(() => Fs.readFile(Path.join(path, CheckpointFile.stateName)).catch(() => Buffer.alloc(0))).pipe(
    Effect.map((bytes) => Option.getOrNull(CheckpointFile.decode(bytes)))
  )

/** Reads all files of a journal once, in constant memory. Acquires no lock and changes nothing. */
export const readJournal = (path: string): Effect.Effect<JournalReport, FileTrouble> =>
  Effect.gen(function* () {
    const holder = yield* holderNow(path)
    const files = yield* segmentsOf(path)
    // Read after the list, so that records settled in the meantime count as settled.
    const state = yield* readCheckpoint(path)
    const identity = state?.identity ?? RecoveryScan.identityOf(files) ?? null
    const pending = SeqRanges.make()
    let last = state?.acknowledged ?? 0
    const segments = yield* Effect.forEach(files, (file) =>
      readSegment(file, files, (seq) => {
        // A segment that was rewritten after a failed sync repeats numbers.
        if (seq <= last) return
        last = seq
        pending.add(seq)
      })
    )
    const quarantined =
      identity === null ? 0 : yield* Quarantine.count(Quarantine.directoryOf(Path.dirname(path), identity.source))
    return {
      path,
      holder,
      identity,
      state,
      segments,
      pending: pending.ranges(),
      bytes: segments.reduce((sum, { bytes }) => sum + bytes, 0),
      quarantined
    }
  })

/** The figures of a journal, of a running process or of one that ended. */
export interface JournalSummary
  extends Pick<JournalReport, "path" | "holder" | "identity" | "pending" | "bytes" | "quarantined"> {
  readonly source: string
  /** Whether the process that writes it is running. */
  readonly living: boolean
  readonly lastSeq: number
  readonly refused: number
  readonly shed: number
  /** Why the journal could not be read; the figures are zero then. */
  readonly problem: string | null
}

const unread = { holder: null, identity: null, state: null, segments: [], pending: [], bytes: 0, quarantined: 0 }

const summaryOf = (source: string, { segments, state, ...rest }: JournalReport): JournalSummary => {
  const { holder, identity } = rest
  return {
    ...rest,
    source,
    living: identity !== null && holder?.startsWith(`process ${identity.pid} on ${identity.host},`) === true,
    lastSeq: segments.reduce((last, { lastSeq }) => Math.max(last, lastSeq ?? 0), state?.lastSeq ?? 0),
    refused: state?.refused ?? 0,
    shed: state?.shed ?? 0,
    problem: identity === null ? "neither its state nor the header of a segment can be read" : null
  }
}

/** Summarizes each journal in a directory, those of running processes too; none when the directory is missing. */
export const summariesIn = (directory: string): Effect.Effect<ReadonlyArray<JournalSummary>> =>
  Effect.flatMap(list(directory), (journals) =>
    Effect.forEach(journals, ({ path, source }) =>
      readJournal(path).pipe(
        Effect.map((report) => summaryOf(source, report)),
        Effect.catchAll(({ message }) =>
          Effect.succeed({ ...summaryOf(source, { path, ...unread }), problem: message })
        )
      )
    )
  )
