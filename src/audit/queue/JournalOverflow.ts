import * as Effect from "effect/Effect"
import { type HashedRow, rowOf } from "../encoding/AuditRow.ts"
import type { DeadJournal } from "../journal/DeadJournal.ts"
import type { Journal } from "../journal/Journal.ts"
import type { JournalReader } from "../journal/JournalReader.ts"
import type { Overflow, OverflowReader } from "./Overflow.ts"

/** Rows that are made between two turns of the event loop: a request waits no longer than for these. */
const slice = 64

const readerOf = (
  { settle }: Pick<Journal, "settle">,
  reader: JournalReader,
  certainAfter: number
): OverflowReader => ({
  next: (maximum) =>
    Effect.gen(function* () {
      const { caughtUp, frames } = yield* reader.next(maximum)
      const rows: Array<HashedRow> = []
      for (let start = 0; start < frames.length; start += slice) {
        if (start > 0) yield* Effect.yieldNow()
        for (const frame of frames.slice(start, start + slice)) {
          const row = rowOf(frame.json)
          if (row === undefined) {
            yield* reader.putAside(frame)
            // Its file goes with the others.
            settle([frame])
            yield* Effect.logError(
              `ALARM: record ${frame.seq} of a journal is whole and is no audit event that this program knows. It is kept in ` +
                "the journal's quarantine: find out who wrote it, a later program perhaps."
            )
          } else rows.push(row)
        }
      }
      const first = rows[0]
      return {
        rows,
        passedOver: frames.length - rows.length,
        caughtUp,
        certain: first !== undefined && first.seq > certainAfter
      }
    })
})

/** What the memory had no room for: never sent before. */
export const overflowOf = (journal: Journal): Overflow => ({
  pending: 0,
  start: 0,
  oldest: undefined,
  readAfter: (seq) => readerOf(journal, journal.readAfter(seq), 0)
})

/** All that an incarnation left. It may have sent any of its rows up to `certainAfter`, and heard nothing. */
export const overflowOfDead = (journal: DeadJournal, certainAfter: number): Overflow => ({
  pending: journal.survey.pending,
  start: journal.acknowledged,
  oldest: undefined,
  readAfter: (seq) => readerOf(journal, journal.readAfter(seq), certainAfter)
})
