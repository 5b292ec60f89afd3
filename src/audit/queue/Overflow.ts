import type * as Effect from "effect/Effect"
import type { HashedRow } from "../encoding/AuditRow.ts"

/** What one reading gave. */
export interface OverflowRows {
  /** In order. */
  readonly rows: ReadonlyArray<HashedRow>
  /** Rows that were there and cannot be read: nobody gets them any more. */
  readonly passedOver: number
  /** Nothing that was there when the reading ended is unread. */
  readonly caughtUp: boolean
  /** None of the rows can be in the database yet. */
  readonly certain: boolean
}

export interface OverflowReader {
  readonly next: (maximum: number) => Effect.Effect<OverflowRows>
}

/** Keeps the rows that the memory has no room for: the journal, seen from the buffer. */
export interface Overflow {
  /** Rows that are only here from the start, numbered after `start`: those of an incarnation that is gone. */
  readonly pending: number
  readonly start: number
  /** When the first of them was recorded, in milliseconds since the epoch, where that is known. */
  readonly oldest: number | undefined
  /** Reads the rows with a higher number. */
  readonly readAfter: (seq: number) => OverflowReader
}
