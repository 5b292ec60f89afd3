import * as Effect from "effect/Effect"
import type { HashedRow } from "../encoding/AuditRow.ts"
import type { Overflow, OverflowReader } from "./Overflow.ts"

/** Rows that the memory had no room for, which come after all those that are in it. */
export interface Spill {
  /** From now on rows are counted here, until all of them were read back. */
  readonly add: (row: HashedRow) => void
  readonly isActive: () => boolean
  readonly count: () => number
  /**
   * Reads the next rows and hands them over in the same step, in which nothing can be interrupted; `missed` more could not be
   * read. Interrupted before that, the next reading starts anew after the last row that was handed over.
   */
  readonly read: (
    maximum: number,
    lastOffered: () => number,
    hold: (rows: ReadonlyArray<HashedRow>, certain: boolean, missed: number) => void
  ) => Effect.Effect<void>
  /** The number of the last row that was read. */
  readonly readUpTo: () => number
  /** When the oldest of them was recorded, at most the pause between two rows too early. */
  readonly oldest: () => number | undefined
}

export const make = (overflow: Overflow): Spill => {
  let count = overflow.pending
  let active = count > 0
  let oldest = overflow.oldest
  let readUpTo = overflow.start
  let reader: OverflowReader | undefined

  return {
    add: (row) => {
      if (!active) {
        active = true
        readUpTo = row.seq - 1
        oldest = row.timestamp
      }
      count += 1
    },
    isActive: () => active,
    count: () => count,
    read: (maximum, lastOffered, hold) =>
      Effect.suspend(() => {
        const current = reader ?? overflow.readAfter(readUpTo)
        reader = undefined
        const seen = lastOffered()
        return Effect.map(current.next(maximum), ({ caughtUp, certain, passedOver, rows }) => {
          const last = rows.at(-1)
          if (last !== undefined) {
            readUpTo = last.seq
            oldest = last.timestamp
          }
          count -= rows.length + passedOver
          // Nothing was offered since the reader began, or it is what the reader has just given.
          const isAtEnd = caughtUp && (seen === lastOffered() || readUpTo === lastOffered())
          const missed = passedOver + (isAtEnd ? count : 0)
          if (isAtEnd) {
            active = false
            count = 0
          } else {
            reader = current
          }
          hold(rows, certain, missed)
        })
      }),
    readUpTo: () => readUpTo,
    oldest: () => (active ? oldest : undefined)
  }
}
