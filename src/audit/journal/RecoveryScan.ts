import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import type * as Types from "effect/Types"
import { attempt, FileTrouble, type JournalFiles } from "./JournalFiles.ts"
import * as Quarantine from "./Quarantine.ts"
import type { JournalIdentity } from "./SegmentHeader.ts"
import * as SegmentHeader from "./SegmentHeader.ts"
import * as SegmentScan from "./SegmentScan.ts"
import { indexOf, type Segment } from "./Segments.ts"
import * as SeqRanges from "./SeqRanges.ts"

/** The result of one pass over the files of an orphaned journal. */
export interface RecoveryScan {
  /** Events, each counted once. */
  readonly frames: number
  /** Of `frames`: events that may not be in the database. */
  readonly pending: number
  /** 0 if there are no events. */
  readonly lastSeq: number
  /** Damaged spans in the quarantine, those of earlier passes included. */
  readonly quarantined: number
  /** Bytes of the last write, if the process died during it. */
  readonly tornBytes: number
  /** Numbers that no file holds, between the start of the first file and the last event, both ends included. */
  readonly gaps: ReadonlyArray<SeqRanges.SeqRange>
  /** Of `gaps`: numbers that damaged spans held. */
  readonly damaged: ReadonlyArray<SeqRanges.SeqRange>
}

/** A segment's file, before its frames are read. */
export interface SegmentFile {
  readonly index: number
  readonly path: string
  readonly size: number
  readonly header: SegmentHeader.ReadHeader
}

/** Finds the segment files of a journal and reads their headers, oldest first. */
export const files = (
  path: string,
  journalFiles: JournalFiles
): Effect.Effect<ReadonlyArray<SegmentFile>, FileTrouble> =>
  attempt(path, async () => {
    const found: Array<SegmentFile> = []
    for (const name of await Fs.readdir(path)) {
      const index = indexOf(name)
      if (index === undefined) continue
      const file = Path.join(path, name)
      const { size } = await Fs.stat(file)
      const bytes = Buffer.alloc(Math.min(size, SegmentHeader.maxHeader))
      const read = await journalFiles.read(file, bytes, bytes.length, 0)
      found.push({ index, path: file, size, header: SegmentHeader.decode(bytes.subarray(0, read)) })
    }
    return found.toSorted((a, b) => a.index - b.index)
  })

export const identityOf = (found: ReadonlyArray<SegmentFile>): JournalIdentity | undefined =>
  found.flatMap(({ header }) => (header._tag === "Valid" ? [header.header] : [])).at(0)

/** Where each file ends, by the headers of later files. */
export const endings = (found: ReadonlyArray<SegmentFile>): ReadonlyMap<number, SegmentHeader.Predecessor> =>
  new Map(
    found.flatMap(({ header }) =>
      header._tag === "Valid" ? header.header.predecessors.map((ending) => [ending.segment, ending] as const) : []
    )
  )

/** The possible seeds of the checksums of a file's frames. */
export const seedsOf = (header: SegmentHeader.ReadHeader): ReadonlyArray<number> =>
  header._tag === "Valid" ? [header.seed] : header._tag === "Damaged" ? header.seeds : []

interface ScanOptions {
  readonly found: ReadonlyArray<SegmentFile>
  readonly files: JournalFiles
  readonly quarantine: string
  /** Every event up to this number is in the database. */
  readonly acknowledged: number
}

interface Totals extends Types.Mutable<Omit<RecoveryScan, "quarantined">> {
  readonly gaps: Array<SeqRanges.SeqRange>
  readonly damaged: Array<SeqRanges.SeqRange>
  /** Damage was found between the last frame and the next one. */
  isDamaged: boolean
}

const headerOf = ({ header }: SegmentFile, acknowledged: number) =>
  header._tag === "Valid"
    ? { start: header.length, first: header.header.firstSeq }
    : { start: 0, first: acknowledged + 1 }

/** Counts a frame. `first` is the first number that its segment may hold. */
const countFrame = (
  totals: Totals,
  seq: number,
  first: number,
  acknowledged: number,
  unsettled: SeqRanges.SeqRanges
) => {
  if (seq <= totals.lastSeq) return
  const expected = totals.lastSeq > 0 ? totals.lastSeq + 1 : first
  if (seq > expected) {
    totals.gaps.push({ from: expected, to: seq - 1 })
    if (totals.isDamaged) totals.damaged.push({ from: expected, to: seq - 1 })
  }
  totals.isDamaged = false
  totals.lastSeq = seq
  totals.frames += 1
  if (seq > acknowledged) {
    unsettled.add(seq)
    totals.pending += 1
  }
}

/**
 * Reads one file. Damage at the end of the last file is a torn write, unless its header is damaged too: a file gets its name with a whole
 * header, so something else cut it. Other damage is copied to the quarantine.
 */
const scanFile = Effect.fnUntraced(function* (
  options: ScanOptions,
  totals: Totals,
  file: SegmentFile,
  place: { readonly ending: SegmentHeader.Predecessor | undefined; readonly isLast: boolean; readonly window: Buffer }
) {
  const { acknowledged, files, quarantine } = options
  const { ending, isLast, window } = place
  const { first, start } = headerOf(file, acknowledged)
  const mayBeTorn = isLast && file.header._tag === "Valid"
  const end = Math.min(file.size, ending?.end ?? file.size)
  const seeds = seedsOf(file.header)
  const frames = SegmentScan.make({ path: file.path, files, seeds, from: start, end: () => end, window, texts: false })
  const unsettled = SeqRanges.make()
  const before = totals.lastSeq
  let length = end
  for (let found = yield* frames.next(1_000); found.length > 0; found = yield* frames.next(1_000)) {
    for (const one of found) {
      if (one._tag === "Frame") {
        countFrame(totals, one.seq, first, acknowledged, unsettled)
      } else if (one.to >= end && mayBeTorn) {
        length = one.from
        totals.tornBytes += one.to - one.from
      } else {
        totals.isDamaged = true
        yield* Quarantine.keep({ files, directory: quarantine, segment: file, from: one.from, to: one.to })
      }
    }
  }
  const segment: Segment = {
    index: file.index,
    path: file.path,
    seeds,
    start,
    length: Math.max(start, length),
    size: file.size,
    ends: ending,
    firstSeq: before + 1,
    lastSeq: totals.lastSeq,
    unsettled,
    sealed: true,
    dropped: false
  }
  return segment
})

/** Reads all files once, with constant memory. Copies damaged spans to the quarantine. */
export const make = (
  options: ScanOptions
): Effect.Effect<{ readonly scan: RecoveryScan; readonly segments: ReadonlyArray<Segment> }, FileTrouble> =>
  Effect.gen(function* () {
    const { found, quarantine } = options
    const ends = endings(found)
    const window = SegmentScan.makeWindow()
    const segments: Array<Segment> = []
    const totals: Totals = { gaps: [], damaged: [], isDamaged: false, frames: 0, pending: 0, lastSeq: 0, tornBytes: 0 }
    for (const [index, file] of found.entries()) {
      if (file.header._tag === "Newer") {
        return yield* new FileTrouble({
          path: file.path,
          reason: `it has format version ${file.header.version}, and this program reads up to ${SegmentHeader.formatVersion}`
        })
      }
      const place = { ending: ends.get(file.index), isLast: index === found.length - 1, window }
      segments.push(yield* scanFile(options, totals, file, place))
    }
    const quarantined = yield* Quarantine.count(quarantine)
    const { isDamaged: _, ...counts } = totals
    return { scan: { ...counts, quarantined }, segments }
  })
