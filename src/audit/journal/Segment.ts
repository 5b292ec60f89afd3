import * as Path from "node:path"
import type { Predecessor } from "./SegmentHeader.ts"
import type { SeqRanges } from "./SeqRanges.ts"

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
