import * as Chunk from "effect/Chunk"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { HashedRow } from "./AuditRow.ts"
import { type Piece, piecesOf, sizeOf } from "./Piece.ts"

export interface BufferOptions {
  /** Rows, those in the drain's hands included. */
  readonly capacity: number
  /** Rows in a batch at most. */
  readonly batchSize: number
  /** How long a first row waits for company; a full batch never waits. */
  readonly linger: Duration.DurationInput
}

/** Characters that waiting rows may have on average, which bounds the memory as `capacity` bounds the number. */
const sizePerRow = 1_024

/** Characters in one piece, unless a single row has more. */
export const pieceSize = 4 * 1_024 * 1_024

/**
 * Between `record` and the drain. Rows stay in here until they are settled, also while the drain works on them, so that a
 * drain that dies takes nothing along and the next one goes on where it was.
 */
export interface AuditBuffer {
  readonly hasRoom: () => boolean
  /** The caller has asked `hasRoom` in the same tick. */
  readonly offer: (row: HashedRow) => void
  /** Waits for rows and puts a batch into the drain's hands; at once when some are there already or none will come. */
  readonly fill: Effect.Effect<void>
  /** What the drain has in its hands, oldest first. */
  readonly inHand: () => ReadonlyArray<Piece>
  /** Puts others in the place of the first piece in hand: none when it is settled, its halves when it is split. */
  readonly replaceFirst: (pieces: ReadonlyArray<Piece>) => void
  /** Lets the others pass the first piece in hand, which cannot be settled now. */
  readonly setFirstAside: () => void
  readonly aside: () => ReadonlyArray<Piece>
  /** Puts what was set aside before everything else in hand. */
  readonly takeBack: () => void
  /** Takes out of the drain's hands what turned out to be settled. Only after the drain has ended. */
  readonly forget: (settled: (row: HashedRow) => boolean) => void
  /** Ends every wait; rows that are here can still be taken. */
  readonly close: Effect.Effect<void>
  /** Completes when the buffer closes. */
  readonly closed: Effect.Effect<void>
  readonly isClosed: () => boolean
  readonly depth: () => number
  readonly pendingSize: () => number
  /** When the oldest unsettled row was recorded, at most the pause between two rows too early. */
  readonly oldest: () => number | undefined
}

const count = (pieces: ReadonlyArray<Piece>): number => pieces.reduce((sum, piece) => sum + piece.rows.length, 0)

const weigh = (pieces: ReadonlyArray<Piece>): number => pieces.reduce((sum, piece) => sum + sizeOf(piece.rows), 0)

export const make = Effect.fnUntraced(function* (options: BufferOptions) {
  const queue = yield* Queue.dropping<HashedRow>(options.capacity)
  const closing = yield* Effect.makeLatch(false)
  let closed = false
  let waiting = 0
  let waitingSize = 0
  let oldestWaiting = 0
  let hand: ReadonlyArray<Piece> = []
  let aside: ReadonlyArray<Piece> = []
  let depth = 0
  let pendingSize = 0
  let wanted = 0
  let wake: (() => void) | undefined

  const enough = () => closed || waiting >= wanted || waitingSize >= pieceSize

  const awaitRows = (number: number) =>
    Effect.async<void>((resume) => {
      wanted = number
      if (enough()) return resume(Effect.void)
      wake = () => resume(Effect.void)
      return Effect.sync(() => {
        wake = undefined
      })
    })

  const wakeIfEnough = () => {
    if (wake === undefined || !enough()) return
    const resume = wake
    wake = undefined
    resume()
  }

  const replace = (before: ReadonlyArray<Piece>, after: ReadonlyArray<Piece>) => {
    depth -= count(before) - count(after)
    pendingSize -= weigh(before) - weigh(after)
  }

  const buffer: AuditBuffer = {
    hasRoom: () => !closed && depth < options.capacity && pendingSize < options.capacity * sizePerRow,
    offer: (row) => {
      if (waiting === 0) oldestWaiting = row.timestamp
      waiting += 1
      waitingSize += row.size
      depth += 1
      pendingSize += row.size
      Queue.unsafeOffer(queue, row)
      wakeIfEnough()
    },
    fill: Effect.suspend(() => {
      if (hand.length > 0) return Effect.void
      return awaitRows(1).pipe(
        Effect.zipRight(Effect.raceFirst(awaitRows(options.batchSize), Effect.sleep(options.linger))),
        // Taking and holding are one step, in which nothing can be interrupted.
        Effect.zipRight(
          Effect.flatMap(Queue.takeUpTo(queue, options.batchSize), (taken) =>
            Effect.sync(() => {
              const rows = Chunk.toReadonlyArray(taken)
              waiting -= rows.length
              waitingSize -= sizeOf(rows)
              oldestWaiting = rows.at(-1)?.timestamp ?? oldestWaiting
              hand = piecesOf(rows, pieceSize)
            })
          ).pipe(Effect.uninterruptible)
        )
      )
    }),
    inHand: () => hand,
    replaceFirst: (pieces) => {
      replace(hand.slice(0, 1), pieces)
      hand = [...pieces, ...hand.slice(1)]
    },
    setFirstAside: () => {
      aside = [...aside, ...hand.slice(0, 1)]
      hand = hand.slice(1)
    },
    aside: () => aside,
    takeBack: () => {
      hand = [...aside, ...hand]
      aside = []
    },
    forget: (settled) => {
      const before = [...aside, ...hand]
      hand = before.map((piece) => ({ ...piece, rows: piece.rows.filter((row) => !settled(row)) }))
      aside = []
      replace(before, hand)
    },
    close: Effect.suspend(() => {
      closed = true
      wakeIfEnough()
      return Effect.asVoid(closing.open)
    }),
    closed: closing.await,
    isClosed: () => closed,
    depth: () => depth,
    pendingSize: () => pendingSize,
    oldest: () =>
      aside[0]?.rows[0]?.timestamp ?? hand[0]?.rows[0]?.timestamp ?? (waiting > 0 ? oldestWaiting : undefined)
  }
  return buffer
})
