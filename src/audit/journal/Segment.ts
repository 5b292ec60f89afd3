import * as Path from "node:path"
import type { Predecessor } from "./SegmentHeader.ts"
import type { SeqRanges } from "./SeqRanges.ts"

/** A file of a journal, as far as its process knows it. */
export interface Segment {
  readonly index: number
  readonly path: string
  /** What the checksums of its frames may start from. */
  readonly seeds: ReadonlyArray<number>
  /** Where its first frame begins. */
  readonly start: number
  /** Up to where it counts. */
  length: number
  /** Its bytes on the disk: more than `length` when a failed write or sync left something behind. */
  size: number
  /** Where it ends, for the headers of those that come after it; undefined when its file says so itself. */
  ends: Predecessor | undefined
  readonly firstSeq: number
  lastSeq: number
  /** Events in it that are not in the database yet. */
  unsettled: SeqRanges
  /** No more events come into it. */
  sealed: boolean
  /** It is removed, or gone. */
  dropped: boolean
}

export const nameOf = (index: number): string => `${String(index).padStart(8, "0")}.segment`

export const pathOf = (directory: string, index: number): string => Path.join(directory, nameOf(index))

/** The index that a file's name says; undefined for other files. */
export const indexOf = (name: string): number | undefined => {
  const digits = /^(\d{8,})\.segment$/.exec(name)?.[1]
  return digits === undefined ? undefined : Number(digits)
}
