import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as CheckpointFile from "../journal/CheckpointFile.ts"
import { stateName } from "../journal/CheckpointFile.ts"
import { type FileTrouble, nodeFiles } from "../journal/JournalFiles.ts"
import * as Quarantine from "../journal/Quarantine.ts"
import * as RecoveryScan from "../journal/RecoveryScan.ts"
import type * as SegmentHeader from "../journal/SegmentHeader.ts"
import * as SegmentScan from "../journal/SegmentScan.ts"
import { nameOf } from "../journal/Segments.ts"
import * as SeqRanges from "../journal/SeqRanges.ts"
import type { JournalFacts, JournalRecord, SegmentFacts } from "./JournalFacts.ts"
import { holderNow } from "./JournalHolder.ts"

/** A living process removes what is settled at any moment: what was listed may be gone when it is opened. */
const isGone = ({ reason }: FileTrouble): boolean => reason.includes("ENOENT")

/** The segments of a journal with their headers, oldest first. */
export const segmentsOf = (path: string) =>
  RecoveryScan.files(path, nodeFiles).pipe(Effect.retry({ schedule: Schedule.recurs(5), while: isGone }))

const seedsOf = (header: SegmentHeader.ReadHeader): ReadonlyArray<number> =>
  header._tag === "Valid" ? [header.seed] : header._tag === "Damaged" ? header.seeds : []

/** What the segments after it say of a segment's end. */
const endingOf = (files: ReadonlyArray<RecoveryScan.SegmentFile>, index: number) =>
  files
    .flatMap(({ header }) => (header._tag === "Valid" ? header.header.predecessors : []))
    .findLast(({ segment }) => segment === index)

/** The records of one file and its damage, in order. */
export const recordsIn = (
  file: RecoveryScan.SegmentFile,
  files: ReadonlyArray<RecoveryScan.SegmentFile>,
  texts: boolean
): Stream.Stream<JournalRecord, FileTrouble> =>
  Stream.suspend(() => {
    const { header, index, path, size } = file
    if (header._tag === "Newer") return Stream.empty
    const ending = endingOf(files, index)
    const end = Math.min(size, ending?.end ?? size)
    const isLast = files.at(-1) === file
    const scan = SegmentScan.make({
      path,
      files: nodeFiles,
      seeds: seedsOf(header),
      from: header._tag === "Valid" ? header.length : 0,
      end: () => end,
      window: SegmentScan.makeWindow(),
      texts
    })
    const segment = nameOf(index)
    const recordOf = (found: SegmentScan.Found): JournalRecord => {
      if (found._tag === "Frame") return { ...found, _tag: "Record", segment }
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

/** Every record of a journal and every damaged span, with flat memory. Reads only. */
export const recordsOf = (path: string): Stream.Stream<JournalRecord, FileTrouble> =>
  Stream.unwrap(
    Effect.map(segmentsOf(path), (files) =>
      Stream.flatMap(Stream.fromIterable(files), (file) => recordsIn(file, files, true))
    )
  )

const headers = { Valid: "whole", Damaged: "damaged", Newer: "of a newer format" } as const

const factsIn = (
  file: RecoveryScan.SegmentFile,
  files: ReadonlyArray<RecoveryScan.SegmentFile>,
  onSeq: (seq: number) => void
): Effect.Effect<SegmentFacts, FileTrouble> => {
  const start: SegmentFacts = {
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
  return Stream.runFold(recordsIn(file, files, false), start, (facts, one): SegmentFacts => {
    if (one._tag === "Record") {
      onSeq(one.seq)
      return { ...facts, records: facts.records + 1, firstSeq: facts.firstSeq ?? one.seq, lastSeq: one.seq }
    }
    return one.kind === "torn"
      ? { ...facts, tornBytes: facts.tornBytes + one.bytes }
      : { ...facts, corruptSpans: facts.corruptSpans + 1, corruptBytes: facts.corruptBytes + one.bytes }
  })
}

const readState = (path: string) =>
  Effect.promise(() => Fs.readFile(Path.join(path, stateName)).catch(() => Buffer.alloc(0))).pipe(
    Effect.map((bytes) => Option.getOrNull(CheckpointFile.decode(bytes)))
  )

/** Reads all of a journal's files once, with flat memory; takes no lock, and changes nothing. */
export const factsOf = (path: string): Effect.Effect<JournalFacts, FileTrouble> =>
  Effect.gen(function* () {
    const holder = yield* holderNow(path)
    const files = yield* segmentsOf(path)
    // After the list: what was settled meanwhile counts as settled.
    const state = yield* readState(path)
    const identity = state?.identity ?? RecoveryScan.identityOf(files) ?? null
    const acknowledged = state?.acknowledged ?? 0
    const pending = SeqRanges.make()
    let last = acknowledged
    const segments = yield* Effect.forEach(files, (file) =>
      factsIn(file, files, (seq) => {
        // A segment that was written anew repeats numbers.
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
