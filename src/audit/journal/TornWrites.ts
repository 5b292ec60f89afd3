import type { DiskQuota } from "./DiskQuota.ts"
import type { JournalFiles } from "./JournalFiles.ts"
import { isFull, type OpenSegment } from "./NewSegment.ts"
import type { Segment } from "./Segment.ts"

/** Takes back what a failed write of up to `bytes` left, since its number will be given again. */
export const takeBack = (options: {
  readonly files: JournalFiles
  readonly room: DiskQuota
  readonly one: OpenSegment
  readonly bytes: number
  readonly cause: unknown
}): void => {
  const { bytes, cause, files, one, room } = options
  const { segment } = one
  // A full disk takes no new file either; after other errors another file may lie on better ground.
  one.suspect = !isFull(cause)
  try {
    files.truncate(one.fd, segment.length)
  } catch {
    one.suspect = true
    segment.ends = { segment: segment.index, end: segment.length }
    segment.size = segment.length + bytes
    room.force(bytes)
  }
}

/**
 * Behind what counts of it there is something, and nothing that counts. A file whose frames are about to be written anew is none:
 * it ends before its last frame by then, and until the new one is there these are needed.
 */
const hasTail = ({ ends, length, size }: Segment): boolean => ends !== undefined && ends.end >= length && size > length

/**
 * Cuts off what failed writes left, so that no later header has to say where their files end. A disk that refuses it once is not
 * asked for the others: there may be hundreds, and a request waits.
 */
export const cut = (options: {
  readonly files: JournalFiles
  readonly room: DiskQuota
  readonly segments: ReadonlyArray<Segment>
  /** Those whose descriptors are open. */
  readonly opened: ReadonlyArray<OpenSegment>
}): void => {
  const { files, opened, room, segments } = options
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
      if (!hasTail(segment)) continue
      truncate(segment)
      room.give(segment.size - segment.length)
      segment.size = segment.length
      segment.ends = undefined
    }
  } catch {
    // The next header names those that are left.
  }
}
