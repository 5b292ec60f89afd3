import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import { attempt, FileTrouble, type JournalFiles } from "./JournalFiles.ts"
import type { JournalIdentity } from "./JournalIdentity.ts"
import * as Quarantine from "./Quarantine.ts"
import { indexOf, type Segment } from "./Segment.ts"
import * as SegmentHeader from "./SegmentHeader.ts"
import * as SegmentScan from "./SegmentScan.ts"
import * as SeqRanges from "./SeqRanges.ts"

/** What one pass over a dead journal's files found. */
export interface RecoveryScan {
  /** Events, each counted once. */
  readonly frames: number
  /** Of `frames`: those that are not known to be in the database. */
  readonly pending: number
  /** 0 where there are none. */
  readonly firstSeq: number
  readonly lastSeq: number
  readonly bytes: number
  /** Damaged spans that are put aside, those of former passes included. */
  readonly quarantined: number
  /** What the last write left, when the process died in it. */
  readonly tornBytes: number
  /** Numbers up to the last that no file holds, from where the first file begins, ends included. */
  readonly gaps: ReadonlyArray<{ readonly from: number; readonly to: number }>
  /** Of `gaps`: those with damage in their place. */
  readonly damaged: ReadonlyArray<{ readonly from: number; readonly to: number }>
}

/** A segment's file before its frames are looked at. */
export interface SegmentFile {
  readonly index: number
  readonly path: string
  readonly size: number
  readonly header: SegmentHeader.ReadHeader
}

/** The segment files of a journal with their headers, oldest first. */
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

/** Where each file ends, by the headers of those that came after it. */
const endings = (found: ReadonlyArray<SegmentFile>): ReadonlyMap<number, SegmentHeader.Predecessor> =>
  new Map(
    found.flatMap(({ header }) =>
      header._tag === "Valid" ? header.header.predecessors.map((ending) => [ending.segment, ending] as const) : []
    )
  )

const seedsOf = (header: SegmentHeader.ReadHeader): ReadonlyArray<number> =>
  header._tag === "Valid" ? [header.seed] : header._tag === "Damaged" ? header.seeds : []

/** Reads all files once, with flat memory; damaged spans are put aside. */
export const make = (options: {
  readonly found: ReadonlyArray<SegmentFile>
  readonly files: JournalFiles
  readonly quarantine: string
  /** Every event up to this number is in the database. */
  readonly acknowledged: number
}): Effect.Effect<{ readonly scan: RecoveryScan; readonly segments: ReadonlyArray<Segment> }, FileTrouble> =>
  Effect.gen(function* () {
    const { acknowledged, found, quarantine } = options
    const ends = endings(found)
    const window = SegmentScan.makeWindow()
    const segments: Array<Segment> = []
    const gaps: Array<{ from: number; to: number }> = []
    const damaged: Array<{ from: number; to: number }> = []
    /** Between the last frame and the next one. */
    let isDamaged = false
    let frames = 0
    let pending = 0
    let firstSeq = 0
    let lastSeq = 0
    let tornBytes = 0

    for (const [place, file] of found.entries()) {
      if (file.header._tag === "Newer") {
        return yield* new FileTrouble({
          path: file.path,
          reason: `it has format version ${file.header.version}, and this program reads up to ${SegmentHeader.formatVersion}`
        })
      }
      const start = file.header._tag === "Valid" ? file.header.length : 0
      const first = file.header._tag === "Valid" ? file.header.header.firstSeq : acknowledged + 1
      const ending = ends.get(file.index)
      const end = Math.min(file.size, ending?.end ?? file.size)
      const isLast = place === found.length - 1
      const frameScan = SegmentScan.make({
        path: file.path,
        files: options.files,
        seeds: seedsOf(file.header),
        from: start,
        end: () => end,
        window,
        texts: false
      })
      const unsettled = SeqRanges.make()
      const before = lastSeq
      let length = end
      for (;;) {
        const batch = yield* frameScan.next(1_000)
        if (batch.length === 0) break
        for (const one of batch) {
          if (one._tag === "Damage") {
            const isTail = one.to >= end && isLast
            if (isTail) {
              length = one.from
              tornBytes += one.to - one.from
            } else {
              isDamaged = true
              yield* Quarantine.keep({
                files: options.files,
                directory: quarantine,
                segment: file,
                from: one.from,
                to: one.to
              })
            }
          } else if (one.seq > lastSeq) {
            const expected = lastSeq > 0 ? lastSeq + 1 : first
            if (firstSeq === 0) firstSeq = one.seq
            if (one.seq > expected) {
              gaps.push({ from: expected, to: one.seq - 1 })
              if (isDamaged) damaged.push({ from: expected, to: one.seq - 1 })
            }
            isDamaged = false
            lastSeq = one.seq
            frames += 1
            if (one.seq > acknowledged) {
              unsettled.add(one.seq)
              pending += 1
            }
          }
        }
      }
      segments.push({
        index: file.index,
        path: file.path,
        seeds: seedsOf(file.header),
        start,
        length: Math.max(start, length),
        size: file.size,
        ends: ending,
        firstSeq: before + 1,
        lastSeq,
        unsettled,
        sealed: true,
        dropped: false
      })
    }
    const quarantined = yield* Quarantine.count(quarantine)
    const bytes = found.reduce((sum, { size }) => sum + size, 0)
    return { scan: { frames, pending, firstSeq, lastSeq, bytes, quarantined, tornBytes, gaps, damaged }, segments }
  })
