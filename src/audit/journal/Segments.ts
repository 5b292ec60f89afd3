import type { DiskQuota } from "./DiskQuota.ts"
import type { JournalFiles } from "./JournalFiles.ts"
import type { Segment } from "./Segment.ts"

/** The segments of one journal, oldest first, and which of their events are settled. */
export interface Segments {
  readonly all: () => ReadonlyArray<Segment>
  readonly add: (segment: Segment) => void
  /** Marks events as settled. Returns how many of them were unsettled until now. */
  readonly settle: (rows: ReadonlyArray<{ readonly seq: number }>) => number
  /** The number up to which every event is settled, at most `lastSeq`. */
  readonly acknowledged: (lastSeq: number) => number
  /** Events that are not settled. */
  readonly pending: () => number
  readonly bytes: () => number
  /** Whether `sweep` would remove any. */
  readonly hasObsolete: () => boolean
  /** Removes files that are not needed any more. A file that cannot be removed is tried again at the next call. */
  readonly sweep: () => void
  /** Forgets a segment whose file has vanished or is of no use. */
  readonly drop: (segment: Segment) => void
}

/** Sealed and fully settled. The last one stays while others exist, because its header says where damaged ones end. */
const obsolete = (segments: ReadonlyArray<Segment>): ReadonlyArray<Segment> =>
  segments.filter(
    (segment, place) =>
      segment.sealed && segment.unsettled.size() === 0 && (place < segments.length - 1 || segments.length === 1)
  )

export const make = (options: { readonly files: JournalFiles; readonly quota: DiskQuota }): Segments => {
  const { files, quota } = options
  let segments: ReadonlyArray<Segment> = []

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
    add: (segment) => {
      segments = [...segments, segment]
    },
    settle: (rows) => {
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
    acknowledged: (lastSeq) =>
      segments.reduce((lowest, { unsettled }) => Math.min(lowest, (unsettled.first() ?? lastSeq + 1) - 1), lastSeq),
    pending: () => segments.reduce((sum, { unsettled }) => sum + unsettled.size(), 0),
    bytes: () => segments.reduce((sum, { size }) => sum + size, 0),
    hasObsolete: () => obsolete(segments).length > 0,
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
