import type { JournalIdentity } from "../journal/SegmentHeader.ts"
import type { Gap } from "../sources/GapSearch.ts"

/** What a look at a journal's files finds, beside its process or after it. */
export interface JournalSight {
  readonly path: string
  readonly source: string
  /** Who holds it: the process that writes it, or one that takes it over; null when nobody does. */
  readonly holder: string | null
  /** The process that writes it lives. */
  readonly living: boolean
  /** Null when none of its files says it. */
  readonly identity: JournalIdentity | null
  readonly lastSeq: number
  readonly refused: number
  readonly shed: number
  /** Records that may not be in the database yet: those after the mark that the process leaves now and then. */
  readonly pending: ReadonlyArray<Gap>
  readonly bytes: number
  /** Damaged spans that were put aside. */
  readonly quarantined: number
  /** Why it could not be read; the figures are zero then. */
  readonly problem: string | null
}
