import * as Effect from "effect/Effect"
import { yieldNow } from "../../platform/os/EventLoop.ts"
import type { HashedRow } from "../encoding/AuditRow.ts"
import { rowOf } from "../encoding/CanonicalRow.ts"
import type { Journal } from "../journal/Journal.ts"
import type { JournalReader } from "../journal/JournalReader.ts"
import type { OrphanedJournal } from "../journal/OrphanedJournal.ts"

/** The result of one read. */
export interface BacklogRows {
  /** In order of their numbers. */
  readonly rows: ReadonlyArray<HashedRow>
  /** Rows that existed and cannot be read any more. */
  readonly unreadable: number
  /** Everything that existed when the read ended has been read. */
  readonly caughtUp: boolean
  /** None of the rows can be in the database yet. */
  readonly certain: boolean
}

export interface BacklogReader {
  readonly next: (maximum: number) => Effect.Effect<BacklogRows>
}

/** The journal as the queue sees it: it holds the rows that do not fit into memory. */
export interface BacklogSource {
  /** Rows that are only here at the start, numbered after `start`: those of a dead incarnation. */
  readonly pending: number
  readonly start: number
  /** Reads the rows with a higher number. */
  readonly readAfter: (seq: number) => BacklogReader
}

/** Rows decoded between two turns of the event loop: a request never waits longer than for these. */
const slice = 64

const readerOf = ({ settle }: Pick<Journal, "settle">, reader: JournalReader, certainAfter: number): BacklogReader => ({
  next: (maximum) =>
    Effect.gen(function* () {
      const { caughtUp, frames } = yield* reader.next(maximum)
      const rows: Array<HashedRow> = []
      for (let start = 0; start < frames.length; start += slice) {
        if (start > 0) yield* yieldNow
        for (const frame of frames.slice(start, start + slice)) {
          const row = rowOf(frame.json)
          if (row === undefined) {
            yield* reader.quarantine(frame)
            // Its segment can be removed with the others.
            settle([frame])
            yield* Effect.logError(
              `ALARM: record ${frame.seq} of a journal is intact, but is not an audit event that this program knows. It is ` +
                "kept in the journal's quarantine. Find out which program wrote it; it may be a later version."
            )
          } else rows.push(row)
        }
      }
      const first = rows[0]
      return {
        rows,
        unreadable: frames.length - rows.length,
        caughtUp,
        certain: first !== undefined && first.seq > certainAfter
      }
    })
})

/** The backlog of this process: its rows were never sent before. */
export const backlogOf = (journal: Journal): BacklogSource => ({
  pending: 0,
  start: 0,
  readAfter: (seq) => readerOf(journal, journal.readAfter(seq), 0)
})

/** The whole journal of a dead process. Any of its rows up to `certainAfter` may be in the database. */
export const backlogOfOrphan = (journal: OrphanedJournal, certainAfter: number): BacklogSource => ({
  pending: journal.scan.pending,
  start: journal.acknowledged,
  readAfter: (seq) => readerOf(journal, journal.readAfter(seq), certainAfter)
})

/** Counts the rows that did not fit into memory, and reads them back. They follow all rows in memory. */
export const make = (source: BacklogSource, lastOffered: () => number) => {
  let count = source.pending
  let active = count > 0
  let oldest: number | undefined
  let readUpTo = source.start
  let reader: BacklogReader | undefined
  /** Rows that were read ahead, and the last number that was offered before they were read. */
  let ahead: { readonly found: BacklogRows; readonly offeredBefore: number } | undefined
  const reading = Effect.unsafeMakeSemaphore(1)

  /** Reads the next rows into `ahead`. If it is interrupted, the next read starts after the last row that left the backlog. */
  const readNext = (maximum: number) =>
    Effect.suspend(() => {
      if (!active || ahead !== undefined) return Effect.void
      const current = reader ?? source.readAfter(readUpTo)
      reader = undefined
      const offeredBefore = lastOffered()
      return Effect.map(current.next(maximum), (found) => {
        reader = current
        ahead = { found, offeredBefore }
      })
    })

  return {
    /** Counts a row. While the backlog is active, all later rows belong to it. */
    add: (row: HashedRow) => {
      if (!active) {
        active = true
        readUpTo = row.seq - 1
        oldest = row.timestamp
      }
      count += 1
    },
    isActive: () => active,
    count: () => count,
    /**
     * Reads the next rows before they are needed, while others are written. They still belong to the backlog. Does nothing while another
     * read is in progress.
     */
    readAhead: (maximum: number) => Effect.asVoid(reading.withPermitsIfAvailable(1)(readNext(maximum))),
    /**
     * Reads the next rows and passes them to `hold` in one uninterruptible step; `missed` more rows could not be read. If the
     * read is interrupted before, the next read starts after the last row that `hold` received.
     */
    read: (maximum: number, hold: (rows: ReadonlyArray<HashedRow>, certain: boolean, missed: number) => void) =>
      Effect.map(readNext(maximum), () => {
        if (ahead === undefined) return
        const { caughtUp, certain, rows, unreadable } = ahead.found
        const last = rows.at(-1)
        if (last !== undefined) {
          readUpTo = last.seq
          oldest = last.timestamp
        }
        count -= rows.length + unreadable
        // No row was offered since the read began, or the read returned the last one offered.
        const isAtEnd = caughtUp && (ahead.offeredBefore === lastOffered() || readUpTo === lastOffered())
        const missed = unreadable + (isAtEnd ? count : 0)
        ahead = undefined
        if (isAtEnd) {
          active = false
          count = 0
          reader = undefined
        }
        hold(rows, certain, missed)
      }).pipe(reading.withPermits(1)),
    /** The number of the last row that was read. */
    readUpTo: () => readUpTo,
    /** When the oldest of them was recorded, or a little earlier: the time of the row before it. Undefined if unknown. */
    oldest: () => (active ? oldest : undefined)
  }
}

export type JournalBacklog = ReturnType<typeof make>
