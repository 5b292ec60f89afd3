import type { JournalProblem } from "./JournalProblem.ts"

/** What a journal says of itself. Times are in milliseconds since the epoch. */
export interface JournalStatus {
  /** Of all journals that share its room. */
  readonly bytes: number
  readonly maxBytes: number
  readonly segments: number
  /** Records that are not settled. */
  readonly pendingFrames: number
  /** The last number known; 0 before the first. */
  readonly lastSeq: number
  /** Every event up to this number is settled. */
  readonly acknowledged: number
  /** Not on the disk for certain. */
  readonly unsyncedBytes: number
  /** Why it takes nothing now, or cannot write it through; `hanging`: it takes events, and the disk answers no write-through. */
  readonly problem: {
    readonly reason: JournalProblem["reason"] | "hanging"
    readonly detail: string
    readonly since: number
  } | null
  /** Why it cannot be read now. */
  readonly readProblem: { readonly detail: string; readonly since: number } | null
  /** Damaged spans that were put aside. */
  readonly quarantined: number
}
