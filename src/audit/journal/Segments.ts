import type { DiskQuota } from "./DiskQuota.ts"
import type { JournalFiles } from "./JournalFiles.ts"
import type { Segment } from "./Segment.ts"

/** The segments of one journal, oldest first, and which of their events are settled. */
export interface Segments {
  readonly all: () => ReadonlyArray<Segment>
  readonly add: (segment: Segment) => void
  /** Gives how many of the numbers were unsettled until now. */
  readonly settle: (rows: ReadonlyArray<{ readonly seq: number }>) => number
  /** Every event up to this number is settled, of those up to `lastSeq`. */
  readonly acknowledged: (lastSeq: number) => number
  /** Events that are not settled. */
  readonly pending: () => number
  readonly bytes: () => number
  /** Whether `sweep` would remove any. */
  readonly hasNeedless: () => boolean
  /** Removes the files that are not needed any more. What cannot be removed now is tried again at the next call. */
  readonly sweep: () => void
  /** Takes it out, its file being gone or useless. */
  readonly drop: (segment: Segment) => void
}

/** Sealed and wholly settled. The last one stays while others do: its header says where damaged ones among them end. */
const needless = (segments: ReadonlyArray<Segment>): ReadonlyArray<Segment> =>
  segments.filter(
    (segment, place) =>
      segment.sealed && segment.unsettled.size() === 0 && (place < segments.length - 1 || segments.length === 1)
  )

export const make = (options: { readonly files: JournalFiles; readonly room: DiskQuota }): Segments => {
  const { files, room } = options
  let segments: ReadonlyArray<Segment> = []

  const drop = (segment: Segment) => {
    segment.dropped = true
    segments = segments.filter((one) => one !== segment)
    room.give(segment.size)
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
    hasNeedless: () => needless(segments).length > 0,
    sweep: () => {
      let next: ReadonlyArray<Segment> = []
      for (let found = needless(segments); found.length > 0; found = next) {
        for (const segment of found) remove(segment)
        const left = needless(segments)
        // Where the last but one went, the last may go; where a file cannot be removed, it stays.
        next = left.some((segment) => found.includes(segment)) ? [] : left
      }
    },
    drop
  }
}
