import type { DiskQuota } from "./DiskQuota.ts"
import type { JournalFiles } from "./JournalFiles.ts"
import { isFull, type OpenSegment } from "./NewSegment.ts"
import type { Segment } from "./Segment.ts"

/** Removes what a failed write of up to `bytes` left, because its number will be used again. */
export const undoWrite = (options: {
  readonly files: JournalFiles
  readonly quota: DiskQuota
  readonly one: OpenSegment
  readonly bytes: number
  readonly cause: unknown
}): void => {
  const { bytes, cause, files, one, quota } = options
  const { segment } = one
  // On a full disk a new file would fail too; after other errors a new file may succeed.
  one.suspect = !isFull(cause)
  try {
    files.truncate(one.fd, segment.length)
  } catch {
    one.suspect = true
    segment.ends = { segment: segment.index, end: segment.length }
    segment.size = segment.length + bytes
    quota.force(bytes)
  }
}

/**
 * Whether bytes without meaning follow the valid ones. A segment that is about to be rewritten does not qualify: its tail is
 * needed until the rewrite is done.
 */
const hasTornTail = ({ ends, length, size }: Segment): boolean =>
  ends !== undefined && ends.end >= length && size > length

/**
 * Cuts off what failed writes left, so that no later header has to say where those files end. Stops at the first error: there
 * may be hundreds of files, and a request waits.
 */
export const cut = (options: {
  readonly files: JournalFiles
  readonly quota: DiskQuota
  readonly segments: ReadonlyArray<Segment>
  /** The segments whose descriptors are open. */
  readonly opened: ReadonlyArray<OpenSegment>
}): void => {
  const { files, opened, quota, segments } = options
  const truncate = (segment: Segment) => {
    const open = opened.find((one) => one.segment === segment)
    if (open !== undefined) return files.truncate(open.fd, segment.length)
    const fd = files.open(segment.path)
    try {
      files.truncate(fd, segment.length)
    } finally {
      files.close(fd)
    }
  }
  try {
    for (const segment of segments) {
      if (!hasTornTail(segment)) continue
      truncate(segment)
      quota.give(segment.size - segment.length)
      segment.size = segment.length
      segment.ends = undefined
    }
  } catch {
    // The next header names the segments that are left.
  }
}
