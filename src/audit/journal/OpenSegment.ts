import * as Crypto from "node:crypto"
import * as Frame from "./Frame.ts"
import { type JournalFiles, reasonOf } from "./JournalFiles.ts"
import type { JournalProblem } from "./JournalStatus.ts"
import { encode, type JournalIdentity, maxHeader, type Predecessor } from "./SegmentHeader.ts"
import { type DiskQuota, pathOf, type Segment } from "./Segments.ts"
import * as SeqRanges from "./SeqRanges.ts"

/** A segment that is open for writing, or waits for a sync. */
export interface OpenSegment {
  readonly segment: Segment
  readonly fd: number
  /** The seed of its frames' checksums. */
  readonly seed: number
  /** Bytes that are certainly on the disk, and the last number among them. */
  synced: number
  syncedSeq: number
  /** A sync is in progress, so its descriptor must stay open. */
  syncing: boolean
  /** A write to it failed and the disk is not full, or its end could not be restored: nothing more is written to it. */
  suspect: boolean
}

/** Distrusts a file: what is only in it is lost, and the frames from `firstKeptSeq` on, which are in memory, count as not synced. */
export const distrust = (one: OpenSegment, firstKeptSeq: number): void => {
  one.segment.unsettled.removeBetween(0, firstKeptSeq - 1)
  one.synced = 0
  one.syncedSeq = Math.max(one.segment.firstSeq, firstKeptSeq) - 1
}

/**
 * Whether another program cut the file: it is shorter than it was, or an append after the cut left a hole. Neither its header nor a frame
 * ends with a zero byte.
 */
export const isCut = (files: JournalFiles, { fd, segment, synced }: OpenSegment): boolean => {
  const byte = Buffer.alloc(1)
  try {
    return [0, synced - 1, segment.length - 1].some(
      (at) => at >= 0 && (files.peek(fd, byte, at) === 0 || byte[0] === 0)
    )
  } catch {
    return false
  }
}

export const failing = (path: string, cause: unknown): JournalProblem => ({
  reason: "failing",
  detail: `${reasonOf(cause)} (${path})`
})

export const tooLarge = (size: string): JournalProblem => ({
  reason: "failing",
  detail: `an event of ${size} is too large`
})

/** The quota has no room for an event of so many bytes. */
export const full = (options: { readonly path: string; readonly quota: DiskQuota }, bytes: number): JournalProblem => ({
  reason: "full",
  detail: `${options.quota.used()} of ${options.quota.maxBytes} bytes are used, and the event needs ${bytes} (${options.path})`
})

/** Whether the disk, or the owner's share of it, has no space. */
export const isFull = (cause: unknown): boolean =>
  cause instanceof Error && "code" in cause && (cause.code === "ENOSPC" || cause.code === "EDQUOT")

/** Repeats a short write until all bytes are written. Throws on an error. */
export const writeAll = (
  files: JournalFiles,
  fd: number,
  buffer: Uint8Array,
  from: number,
  length: number,
  position: number
): void => {
  for (let written = 0; written < length; ) {
    const count = files.write(fd, buffer, from + written, length - written, position + written)
    if (count === 0) throw new Error("nothing was written")
    written += count
  }
}

/**
 * Closes and removes an unfinished file. On a failing disk it may remain; recovery then reads a segment without events of
 * its own.
 */
export const discard = (files: JournalFiles, fd: number, path: string): void => {
  for (const act of [() => files.close(fd), () => files.unlink(path)]) {
    try {
      act()
    } catch {
      // The first failure was reported already.
    }
  }
}

export interface NewSegmentOptions {
  readonly files: JournalFiles
  readonly directory: string
  readonly index: number
  readonly identity: JournalIdentity
  readonly firstSeq: number
  readonly predecessors: ReadonlyArray<Predecessor>
  /** Whole frames that it begins with; their checksums are computed again. */
  readonly frames?: ReadonlyArray<{ readonly buffer: Buffer; readonly from: number; readonly to: number }>
}

/** Creates a segment with its header and its first frames, or throws and leaves no file. */
export const create = (options: NewSegmentOptions): OpenSegment => {
  const { files, firstSeq, frames = [], identity, index, predecessors } = options
  const path = pathOf(options.directory, index)
  const unfinished = `${path}.part`
  const { bytes, seed } = encode({ ...identity, firstSeq, nonce: Crypto.randomUUID(), predecessors })
  // A reader would not see all of it, and would read refused events as recorded.
  if (bytes.length > maxHeader)
    throw new Error(`the ends of ${predecessors.length} failed segments do not fit into a header`)
  const fd = files.create(unfinished)
  let length = bytes.length
  try {
    writeAll(files, fd, bytes, 0, bytes.length, 0)
    for (const { buffer, from, to } of frames) {
      for (let at = from; at < to; ) at += Frame.seal(buffer, at, seed)
      writeAll(files, fd, buffer, from, to - from, length)
      length += to - from
    }
    // The header invalidates the tails of other segments, so the name appears only when this file holds their frames.
    files.rename(unfinished, path)
  } catch (cause) {
    discard(files, fd, unfinished)
    throw cause
  }
  const segment: Segment = {
    index,
    path,
    seeds: [seed],
    start: bytes.length,
    length,
    size: length,
    ends: undefined,
    firstSeq,
    lastSeq: firstSeq - 1,
    unsettled: SeqRanges.make(),
    sealed: false,
    dropped: false
  }
  return { segment, fd, seed, synced: 0, syncedSeq: firstSeq - 1, syncing: false, suspect: false }
}

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
export const cutTornTails = (options: {
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
