import * as Chunk from "effect/Chunk"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { HashedRow } from "../encoding/AuditRow.ts"
import { type Batch, sizeOf, splitBySize } from "./Batch.ts"
import * as BatchTrigger from "./BatchTrigger.ts"
import type { BacklogSource } from "./JournalBacklog.ts"
import * as JournalBacklog from "./JournalBacklog.ts"

export interface WriteQueueOptions {
  /** Rows in memory, those in the drain's hands included. */
  readonly capacity: number
  /** Rows in a batch at most. */
  readonly batchSize: number
  /** How long a first row waits for company; a full batch never waits. */
  readonly linger: Duration.DurationInput
  /** Holds every row; from here come those that the memory had no room for. Without it the buffer is bounded. */
  readonly overflow?: BacklogSource | undefined
  /** Told of rows that are in the database, table or dead letters. */
  readonly onSettled?: ((rows: ReadonlyArray<HashedRow>) => void) | undefined
}

/** Characters that waiting rows may have on average, which bounds the memory as `capacity` bounds the number. */
const sizePerRow = 1_024

/** Characters in one piece, unless a single row has more. */
export const maximumBatchChars = 4 * 1_024 * 1_024

/**
 * Between `record` and the drain. Rows stay in here until they are settled, also while the drain works on them, so that a
 * drain that dies takes nothing along and the next one goes on where it was.
 */
export interface WriteQueue {
  /** Whether one more row can be kept; with an overflow that is for the journal to say. */
  readonly hasRoom: () => boolean
  /** The caller has asked `hasRoom` in the same tick. An `urgent` row waits for no company. */
  readonly offer: (row: HashedRow, urgent?: boolean) => void
  /**
   * Waits for rows and puts a batch into the drain's hands; at once when some are there already or none will come. While it
   * `isHeldUp` it gives none, and waits for the end alone.
   */
  readonly fill: Effect.Effect<void>
  /** What was set aside fills the memory: nothing more comes until some of it is taken back and settled. */
  readonly isBlocked: () => boolean
  /** What the drain has in its hands, oldest first. */
  readonly inFlight: () => ReadonlyArray<Batch>
  /** Puts others in the place of the first piece in hand: what is known of it now, or its halves. */
  readonly replaceFirst: (pieces: ReadonlyArray<Batch>) => void
  /** The first piece in hand is in the database. */
  readonly settleFirst: () => void
  /** Lets the others pass the first piece in hand, which cannot be settled now. */
  readonly parkFirst: () => void
  readonly parked: () => ReadonlyArray<Batch>
  /** Puts what was set aside before everything else in hand. */
  readonly unpark: () => void
  /** Takes out of the drain's hands what turned out to be settled. Only after the drain has ended. */
  readonly dropSettled: (settled: (row: HashedRow) => boolean) => void
  /** Ends every wait; rows that are here can still be taken. */
  readonly close: Effect.Effect<void>
  /** Completes when the buffer closes. */
  readonly closed: Effect.Effect<void>
  readonly isClosed: () => boolean
  /** Rows that are not settled, wherever they are. */
  readonly depth: () => number
  /** Of `depth`: rows that are in the overflow only. */
  readonly spilledCount: () => number
  /** Rows that the overflow lost: nobody settles them. */
  readonly unreadableCount: () => number
  /** None of those has a higher number. */
  readonly unreadableUpTo: () => number
  /** Every row up to this number is settled; the highest that `offer` saw when none waits. */
  readonly settledUpTo: () => number
  /** Whether this row, which was offered, is settled; those before it may wait. */
  readonly isSettled: (seq: number) => boolean
  /** Characters of the rows in memory. */
  readonly pendingSize: () => number
  /** When the oldest unsettled row was recorded, at most the pause between two rows too early. */
  readonly oldest: () => number | undefined
  /** The same of the rows that a new one waits behind: not of those that the others pass. */
  readonly oldestInLine: () => number | undefined
}

const count = (pieces: ReadonlyArray<Batch>): number => pieces.reduce((sum, piece) => sum + piece.rows.length, 0)

const weigh = (pieces: ReadonlyArray<Batch>): number => pieces.reduce((sum, piece) => sum + sizeOf(piece.rows), 0)

export const make = Effect.fnUntraced(function* (options: WriteQueueOptions) {
  const { overflow } = options
  const queue = yield* Queue.dropping<HashedRow>(options.capacity)
  const closing = yield* Effect.makeLatch(false)
  let closed = false
  let waiting = 0
  let waitingSize = 0
  let oldestWaiting = 0
  let firstWaiting = 0
  let urgent = false
  let hand: ReadonlyArray<Batch> = []
  let aside: Array<Batch> = []
  let depth = overflow?.pending ?? 0
  let pendingSize = 0
  let lastOffered = 0

  const spill = overflow === undefined ? undefined : JournalBacklog.make(overflow)
  let passedOver = 0
  let passedOverUpTo = 0

  const spilledCount = () => spill?.count() ?? 0
  const inMemory = () => depth - spilledCount()
  const memoryHasRoom = () => inMemory() < options.capacity && pendingSize < options.capacity * sizePerRow
  const arrivals = BatchTrigger.make(
    (wanted) => closed || urgent || waiting + spilledCount() >= wanted || waitingSize >= maximumBatchChars
  )

  const replace = (before: ReadonlyArray<Batch>, after: ReadonlyArray<Batch>) => {
    depth -= count(before) - count(after)
    pendingSize -= weigh(before) - weigh(after)
  }

  /** Taking and holding are one step, in which nothing can be interrupted. */
  const takeQueued = Effect.flatMap(Queue.takeUpTo(queue, options.batchSize), (taken) =>
    Effect.sync(() => {
      const rows = Chunk.toReadonlyArray(taken)
      waiting -= rows.length
      waitingSize -= sizeOf(rows)
      const last = rows.at(-1)
      if (last !== undefined) {
        oldestWaiting = last.timestamp
        firstWaiting = last.seq + 1
      }
      urgent = false
      hand = splitBySize(rows, maximumBatchChars)
    })
  ).pipe(Effect.uninterruptible)

  const readBack = (spill: JournalBacklog.JournalBacklog) =>
    spill.read(
      options.batchSize,
      () => lastOffered,
      (rows, certain, missed) => {
        depth -= missed
        passedOver += missed
        if (missed > 0) passedOverUpTo = spill.isActive() ? spill.readUpTo() : lastOffered
        pendingSize += sizeOf(rows)
        urgent = false
        hand = splitBySize(rows, maximumBatchChars).map((piece) => ({ ...piece, certain }))
      }
    )

  const take = Effect.suspend(() => (waiting === 0 && spill?.isActive() === true ? readBack(spill) : takeQueued))

  const oldestOutside = () => (waiting > 0 ? oldestWaiting : spill?.oldest())
  const oldestInLine = () => hand.find((piece) => !piece.wasParked)?.rows[0]?.timestamp ?? oldestOutside()
  const isBlocked = () => hand.length === 0 && waiting === 0 && aside.length > 0 && !memoryHasRoom()

  const settled = (pieces: ReadonlyArray<Batch>) => {
    for (const piece of pieces) options.onSettled?.(piece.rows)
  }

  const buffer: WriteQueue = {
    hasRoom: () => !closed && (spill !== undefined || memoryHasRoom()),
    offer: (row, isUrgent = false) => {
      const spills = spill !== undefined && (spill.isActive() || !memoryHasRoom())
      depth += 1
      lastOffered = row.seq
      if (spills) {
        spill.add(row)
      } else {
        if (waiting === 0) {
          oldestWaiting = row.timestamp
          firstWaiting = row.seq
        }
        waiting += 1
        waitingSize += row.size
        pendingSize += row.size
        Queue.unsafeOffer(queue, row)
      }
      if (isUrgent) urgent = true
      arrivals.look()
    },
    fill: Effect.suspend(() => {
      if (hand.length > 0) return Effect.void
      if (isBlocked()) return closing.await
      return arrivals
        .until(1)
        .pipe(
          Effect.zipRight(Effect.raceFirst(arrivals.until(options.batchSize), Effect.sleep(options.linger))),
          Effect.zipRight(take)
        )
    }),
    isBlocked,
    inFlight: () => hand,
    replaceFirst: (pieces) => {
      replace(hand.slice(0, 1), pieces)
      hand = [...pieces, ...hand.slice(1)]
    },
    settleFirst: () => {
      const first = hand.slice(0, 1)
      replace(first, [])
      hand = hand.slice(1)
      settled(first)
    },
    parkFirst: () => {
      aside.push(...hand.slice(0, 1).map((piece) => ({ ...piece, wasParked: true })))
      hand = hand.slice(1)
    },
    parked: () => aside,
    unpark: () => {
      hand = [...aside, ...hand]
      aside = []
    },
    dropSettled: (isSettled) => {
      const before = [...aside, ...hand]
      hand = before.map((piece) => ({ ...piece, rows: piece.rows.filter((row) => !isSettled(row)) }))
      aside = []
      replace(before, hand)
      settled(before.map((piece) => ({ ...piece, rows: piece.rows.filter(isSettled) })))
    },
    close: Effect.suspend(() => {
      closed = true
      arrivals.look()
      return Effect.asVoid(closing.open)
    }),
    closed: closing.await,
    isClosed: () => closed,
    depth: () => depth,
    spilledCount,
    unreadableCount: () => passedOver,
    unreadableUpTo: () => passedOverUpTo,
    settledUpTo: () => {
      const held = [...aside, ...hand].flatMap(({ rows }) => rows[0]?.seq ?? [])
      if (held.length > 0) return Math.min(...held) - 1
      if (waiting > 0) return firstWaiting - 1
      return spill?.isActive() === true ? spill.readUpTo() : lastOffered
    },
    isSettled: (seq) =>
      seq <= lastOffered &&
      !(waiting > 0 && seq >= firstWaiting) &&
      !(spill?.isActive() === true && seq > spill.readUpTo()) &&
      ![...aside, ...hand].some(({ rows }) => rows.some((row) => row.seq === seq)),
    pendingSize: () => pendingSize,
    oldest: () => aside[0]?.rows[0]?.timestamp ?? hand[0]?.rows[0]?.timestamp ?? oldestOutside(),
    oldestInLine
  }
  return buffer
})
