import * as Crypto from "node:crypto"
import * as Frame from "./Frame.ts"
import { type JournalFiles, reasonOf } from "./JournalFiles.ts"
import type { JournalIdentity } from "./JournalIdentity.ts"
import type { JournalProblem } from "./JournalStatus.ts"
import { pathOf, type Segment } from "./Segment.ts"
import { encode, maxHeader, type Predecessor } from "./SegmentHeader.ts"
import * as SeqRanges from "./SeqRanges.ts"

/** A segment that is open for writing, or waits to be written through to the disk. */
export interface OpenSegment {
  readonly segment: Segment
  readonly fd: number
  /** What the checksums of its frames start from. */
  readonly seed: number
  /** Bytes that are on the disk for certain, and the last number among them. */
  synced: number
  syncedSeq: number
  /** The disk is at work on it: its descriptor must stay. */
  syncing: boolean
  /** A write to it failed: nothing more is written to it. */
  suspect: boolean
}

export const failing = (path: string, cause: unknown): JournalProblem => ({
  reason: "failing",
  detail: `${reasonOf(cause)} (${path})`
})

export const isFull = (cause: unknown): boolean =>
  cause instanceof Error && "code" in cause && (cause.code === "ENOSPC" || cause.code === "EDQUOT")

/** Writes on where a write fell short, until the system says why. Throws. */
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
 * Closes and removes a file that came to nothing. On a failing disk it may stay; whoever takes the journal over then reads a
 * segment without events of its own.
 */
export const discard = (files: JournalFiles, fd: number, path: string): void => {
  for (const act of [() => files.close(fd), () => files.unlink(path)]) {
    try {
      act()
    } catch {
      // The first failure was told already.
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
  /** Whole frames that it begins with; their checksums are made anew. */
  readonly frames?: ReadonlyArray<{ readonly buffer: Buffer; readonly from: number; readonly to: number }>
}

/** Makes a file with its header and all of its first frames, or throws and leaves none. */
export const create = (options: NewSegmentOptions): OpenSegment => {
  const { files, firstSeq, frames = [], identity, index, predecessors } = options
  const path = pathOf(options.directory, index)
  const unfinished = `${path}.part`
  const { bytes, seed } = encode({ ...identity, firstSeq, nonce: Crypto.randomUUID(), predecessors })
  // A reader would not see all of it, and take for events what was told to be refused.
  if (bytes.length > maxHeader)
    throw new Error(`the ends of ${predecessors.length} segments that failed fit in no header`)
  const fd = files.create(unfinished)
  let length = bytes.length
  try {
    writeAll(files, fd, bytes, 0, bytes.length, 0)
    for (const { buffer, from, to } of frames) {
      for (let at = from; at < to; ) at += Frame.seal(buffer, at, seed)
      writeAll(files, fd, buffer, from, to - from, length)
      length += to - from
    }
    // Its header takes back what other segments hold: it counts when all that it has in their place is in it.
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
