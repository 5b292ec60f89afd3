import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { HashedRow } from "../encoding/AuditRow.ts"
import { sizeOf } from "./Batch.ts"

/** Rows that wait in memory: a bounded Effect Queue, with the counts that its bounds need. */
export const make = (capacity: number) =>
  Effect.map(Queue.dropping<HashedRow>(capacity), (queue) => {
    let count = 0
    let chars = 0
    let oldest = 0
    let firstSeq = 0
    return {
      /** Adds a row. The caller has checked the bounds in the same tick. */
      add: (row: HashedRow) => {
        if (count === 0) {
          oldest = row.timestamp
          firstSeq = row.seq
        }
        count += 1
        chars += row.size
        Queue.unsafeOffer(queue, row)
      },
      /** Removes up to `maximum` rows, oldest first, and passes them to `hold` in the same uninterruptible step. */
      take: (maximum: number, hold: (rows: ReadonlyArray<HashedRow>) => void) =>
        Effect.map(Queue.takeUpTo(queue, maximum), (taken) => {
          const rows = Chunk.toReadonlyArray(taken)
          count -= rows.length
          chars -= sizeOf(rows)
          const last = rows.at(-1)
          if (last !== undefined) {
            oldest = last.timestamp
            firstSeq = last.seq + 1
          }
          hold(rows)
        }).pipe(Effect.uninterruptible),
      count: () => count,
      /** Characters of canonical JSON. */
      chars: () => chars,
      /** The number of the oldest row; meaningless while `count` is 0. */
      firstSeq: () => firstSeq,
      /** When the oldest row was recorded, or a little earlier: the time of the row before it. */
      oldest: () => oldest
    }
  })

export type MemoryRows = Effect.Effect.Success<ReturnType<typeof make>>
