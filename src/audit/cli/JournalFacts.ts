import type { Checkpoint } from "../journal/CheckpointFile.ts"
import type { JournalIdentity } from "../journal/SegmentHeader.ts"
import type { Gap } from "../sources/GapSearch.ts"

export interface SegmentFacts {
  readonly name: string
  readonly bytes: number
  readonly header: "whole" | "damaged" | "of a newer format"
  readonly records: number
  /** Null without records. */
  readonly firstSeq: number | null
  readonly lastSeq: number | null
  /** Damaged spans before its last record, and their bytes. */
  readonly corruptSpans: number
  readonly corruptBytes: number
  /** Bytes at its end that a write which was cut, or failed, left. */
  readonly tornBytes: number
}

/** What the files of a journal say. */
export interface JournalFacts {
  readonly path: string
  /** Who holds it: the process that writes it, or one that takes it over; null when nobody does. */
  readonly holder: string | null
  /** By its state, or the header of a segment; null when neither can be read. */
  readonly identity: JournalIdentity | null
  /** Null when the file `state` is not there or not whole. */
  readonly state: Checkpoint | null
  readonly segments: ReadonlyArray<SegmentFacts>
  /** Numbers of the records that are not settled for certain. Ascending. */
  readonly pending: ReadonlyArray<Gap>
  readonly bytes: number
  /** Damaged spans that were put aside, beside the journals. */
  readonly quarantined: number
}

export type JournalRecord =
  | {
      readonly _tag: "Record"
      readonly segment: string
      readonly offset: number
      /** In the file. */
      readonly bytes: number
      readonly seq: number
      /** Canonical JSON. */
      readonly json: string
    }
  | {
      readonly _tag: "Damage"
      readonly segment: string
      readonly offset: number
      readonly bytes: number
      readonly kind: "corrupt" | "torn"
    }
