import * as Path from "node:path"
import type { JournalFiles } from "./JournalFiles.ts"
import type { Predecessor } from "./SegmentHeader.ts"
import type { SeqRanges } from "./SeqRanges.ts"

/** Counts the bytes on the disk of all journals of one process: its own and those that it recovers. */
export const makeDiskQuota = (maxBytes: number) => {
  let used = 0
  return {
    maxBytes,
    used: () => used,
    /** Reserves bytes. Returns false when they would exceed the maximum. */
    take: (bytes: number) => {
      if (used + bytes > maxBytes) return false
      used += bytes
      return true
    },
    /** Reserves bytes in any case: for files that exist, and for what must be written to keep answered events. */
    force: (bytes: number) => {
      used += bytes
    },
    give: (bytes: number) => {
      used -= bytes
    }
  }
}

export type DiskQuota = Readonly<ReturnType<typeof makeDiskQuota>>

/** A segment: one file of a journal. */
export interface Segment {
  readonly index: number
  readonly path: string
  /** The possible seeds of its frames' checksums. */
  readonly seeds: ReadonlyArray<number>
  /** Where its first frame begins. */
  readonly start: number
  /** Where its valid bytes end. */
  length: number
  /** Its bytes on the disk: more than `length` after a failed write or sync. */
  size: number
  /** Where it ends, for the headers of later segments; undefined when its file ends there. */
  ends: Predecessor | undefined
  readonly firstSeq: number
  lastSeq: number
  /** Its events that are not in the database yet. */
  unsettled: SeqRanges
  /** No more events are appended to it. */
  sealed: boolean
  /** Its file is removed or has vanished. */
  dropped: boolean
}

export const nameOf = (index: number): string => `${String(index).padStart(8, "0")}.segment`

export const pathOf = (directory: string, index: number): string => Path.join(directory, nameOf(index))

/** Reads the index from a file name; undefined for other files. */
export const indexOf = (name: string): number | undefined => {
  const digits = /^(\d{8,})\.segment$/.exec(name)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/** Sealed and fully settled. The last one stays while others exist, because its header says where damaged ones end. */
const obsolete = (segments: ReadonlyArray<Segment>): ReadonlyArray<Segment> =>
  segments.filter(
    (segment, place) =>
      segment.sealed && segment.unsettled.size() === 0 && (place < segments.length - 1 || segments.length === 1)
  )

/** The segments of one journal, oldest first, and which of their events are settled. */
export const make = ({ files, quota }: { readonly files: JournalFiles; readonly quota: DiskQuota }) => {
  let segments: ReadonlyArray<Segment> = []

  /** Forgets a segment whose file has vanished or is of no use. */
  const drop = (segment: Segment) => {
    segment.dropped = true
    segments = segments.filter((one) => one !== segment)
    quota.give(segment.size)
  }

  const remove = (segment: Segment) => {
    try {
      files.unlink(segment.path)
    } catch (cause) {
      const isGone = cause instanceof Error && "code" in cause && cause.code === "ENOENT"
      if (!isGone) return
    }
    drop(segment)
  }

  return {
    all: () => segments,
    add: (segment: Segment) => {
      segments = [...segments, segment]
    },
    /** Marks events as settled. Returns how many of them were unsettled until now. */
    settle: (rows: ReadonlyArray<{ readonly seq: number }>) => {
      let settled = 0
      for (const { seq } of rows) {
        for (const { firstSeq, lastSeq, unsettled } of segments) {
          if (seq < firstSeq || seq > lastSeq || !unsettled.remove(seq)) continue
          settled += 1
          break
        }
      }
      return settled
    },
    /** The number up to which every event is settled, at most `lastSeq`. */
    acknowledged: (lastSeq: number) =>
      segments.reduce((lowest, { unsettled }) => Math.min(lowest, (unsettled.first() ?? lastSeq + 1) - 1), lastSeq),
    /** Events that are not settled. */
    pending: () => segments.reduce((sum, { unsettled }) => sum + unsettled.size(), 0),
    bytes: () => segments.reduce((sum, { size }) => sum + size, 0),
    /** Whether `sweep` would remove any. */
    hasObsolete: () => obsolete(segments).length > 0,
    /** Removes files that are not needed any more. A file that cannot be removed is tried again at the next call. */
    sweep: () => {
      let next: ReadonlyArray<Segment> = []
      for (let found = obsolete(segments); found.length > 0; found = next) {
        for (const segment of found) remove(segment)
        const left = obsolete(segments)
        // Removing the others can make the last one obsolete. A file that cannot be removed ends the loop.
        next = left.some((segment) => found.includes(segment)) ? [] : left
      }
    },
    drop
  }
}

export type Segments = ReturnType<typeof make>
