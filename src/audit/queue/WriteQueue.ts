import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { AuditLogOptions } from "../AuditSettings.ts"
import type { HashedRow } from "../encoding/AuditRow.ts"
import { ProcessJournal } from "../store/ProcessJournal.ts"
import { type InFlightBatches, makeInFlightBatches, splitBySize } from "./Batch.ts"
import { DurabilityWaiter } from "./DurabilityWaiter.ts"
import * as JournalBacklog from "./JournalBacklog.ts"
import * as MemoryRows from "./MemoryRows.ts"
import { makeSignal, type Signal } from "./QueueSignals.ts"

export interface WriteQueueOptions {
  /** Rows in memory, those in flight included. One more batch may be read ahead from the backlog. */
  readonly capacity: number
  /** Rows in a batch at most. */
  readonly batchSize: number
  /** How long the first row waits for more rows; a full batch never waits. */
  readonly linger: Duration.DurationInput
  /** Holds every row, so rows that do not fit into memory are read back from here. Without it the queue is bounded. */
  readonly backlog?: JournalBacklog.BacklogSource | undefined
  /** Called with rows that are in the database, in the table or among the dead letters. */
  readonly onSettled?: ((rows: ReadonlyArray<HashedRow>) => void) | undefined
}

/** Characters allowed for each row on average: the queue bounds its memory by `capacity` times this. */
const charsPerRow = 1_024

/** Characters in one batch, unless a single row has more. */
export const maximumBatchChars = 4 * 1_024 * 1_024

/** The parts of a queue, and the little state that belongs to none of them. */
interface Parts {
  readonly options: WriteQueueOptions
  readonly memory: MemoryRows.MemoryRows
  readonly batches: InFlightBatches
  readonly backlog: JournalBacklog.JournalBacklog | undefined
  /** Checked when rows are offered, or the queue closes. */
  readonly offered: Signal
  /** Checked when rows are settled, or a read has passed rows that are lost. */
  readonly settled: Signal
  readonly closing: Effect.Latch
  readonly state: { closed: boolean; urgent: boolean; lastOffered: number; unreadable: number; unreadableUpTo: number }
}

const memoryHasRoom = ({ batches, memory, options }: Parts, share = 1): boolean =>
  memory.count() + batches.count() < options.capacity * share &&
  memory.chars() + batches.chars() < options.capacity * charsPerRow * share

const offer = (parts: Parts, row: HashedRow, isUrgent: boolean): void => {
  const { backlog, memory, offered, state } = parts
  state.lastOffered = row.seq
  if (backlog !== undefined && (backlog.isActive() || !memoryHasRoom(parts))) backlog.add(row)
  else memory.add(row)
  if (isUrgent) state.urgent = true
  offered.check()
}

const isBlocked = (parts: Parts): boolean => {
  const { batches, memory } = parts
  return batches.inFlight().length === 0 && memory.count() === 0 && batches.parked().length > 0 && !memoryHasRoom(parts)
}

/** Puts the next rows in flight; taking and holding them is one step that cannot be interrupted. */
const take = (parts: Parts): Effect.Effect<void> => {
  const { backlog, batches, memory, options, settled, state } = parts
  /** `certain`: no earlier attempt can have written these rows. */
  const hold = (rows: ReadonlyArray<HashedRow>, certain: boolean) => {
    state.urgent = false
    const taken = splitBySize(rows, maximumBatchChars)
    batches.hold(certain ? taken : taken.map((batch) => ({ ...batch, certain })))
  }
  // Rows in memory are older than spilled rows, so the queue takes them first.
  if (memory.count() > 0 || backlog?.isActive() !== true) {
    return memory.take(options.batchSize, (rows) => hold(rows, true))
  }
  return backlog.read(options.batchSize, (rows, certain, missed) => {
    hold(rows, certain)
    if (missed > 0) {
      state.unreadable += missed
      state.unreadableUpTo = backlog.isActive() ? backlog.readUpTo() : state.lastOffered
    }
    // The read may have passed damaged numbers that are counted as missed only later.
    settled.check()
  })
}

/** Whether the writer need not wait for more rows. It waits for none of a closed queue, and not behind an urgent row. */
const hasEnough = ({ backlog, memory, state }: Parts, wanted: number): boolean =>
  state.closed ||
  state.urgent ||
  memory.count() + (backlog?.count() ?? 0) >= wanted ||
  memory.chars() >= maximumBatchChars

const fill = (parts: Parts): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { batches, closing, offered, options } = parts
    const enough = (wanted: number) => offered.when(() => hasEnough(parts, wanted))
    if (batches.inFlight().length > 0) return Effect.void
    if (isBlocked(parts)) return closing.await
    return enough(1).pipe(
      Effect.zipRight(Effect.raceFirst(enough(options.batchSize), Effect.sleep(options.linger))),
      Effect.zipRight(Effect.suspend(() => take(parts)))
    )
  })

const settle = ({ options, settled }: Parts, groups: ReadonlyArray<ReadonlyArray<HashedRow>>): void => {
  for (const rows of groups) options.onSettled?.(rows)
  settled.check()
}

const settledUpTo = ({ backlog, batches, memory, state }: Parts): number => {
  const firstRows = [...batches.parked(), ...batches.inFlight()].flatMap(({ rows }) => rows.slice(0, 1))
  if (firstRows.length > 0) return Math.min(...firstRows.map(({ seq }) => seq)) - 1
  if (memory.count() > 0) return memory.firstSeq() - 1
  return backlog?.isActive() === true ? backlog.readUpTo() : state.lastOffered
}

const isSettled = ({ backlog, batches, memory, state }: Parts, seq: number): boolean =>
  seq <= state.lastOffered &&
  !(memory.count() > 0 && seq >= memory.firstSeq()) &&
  !(backlog?.isActive() === true && seq > backlog.readUpTo()) &&
  ![...batches.parked(), ...batches.inFlight()].some(({ rows }) => rows.some((row) => row.seq === seq))

/**
 * Makes the queue between `record` and the batch writer. A row is *waiting* in memory or *spilled* to the journal, then *in
 * flight* or *parked*, then settled. Rows stay in the queue until they are settled, so a writer that dies and restarts loses
 * none.
 */
// long: one line for each member of the queue, and its meaning.
export const make = Effect.fnUntraced(function* (options: WriteQueueOptions) {
  const memory = yield* MemoryRows.make(options.capacity)
  const closing = yield* Effect.makeLatch(false)
  const batches = makeInFlightBatches()
  const state: Parts["state"] = { closed: false, urgent: false, lastOffered: 0, unreadable: 0, unreadableUpTo: 0 }
  const backlog =
    options.backlog === undefined ? undefined : JournalBacklog.make(options.backlog, () => state.lastOffered)
  const offered = makeSignal()
  const settled = makeSignal()
  const parts: Parts = { options, memory, batches, backlog, offered, settled, closing, state }
  const spilledCount = () => backlog?.count() ?? 0
  const depth = () => memory.count() + batches.count() + spilledCount()
  const oldestOutside = () => (memory.count() > 0 ? memory.oldest() : backlog?.oldest())

  return {
    /** Whether the queue accepts one more row. With a backlog it does until it closes. */
    hasRoom: () => !state.closed && (backlog !== undefined || memoryHasRoom(parts)),
    /** Whether less than half of the bound is used. */
    isHalfEmpty: () => backlog !== undefined || memoryHasRoom(parts, 0.5),
    /** Adds a row. The caller has checked `hasRoom` in the same tick. An `urgent` row does not wait for more rows. */
    offer: (row: HashedRow, isUrgent = false) => offer(parts, row, isUrgent),
    /**
     * Waits for rows and puts them in flight. Returns at once while batches are in flight; a closed queue does not wait. A
     * blocked queue takes nothing and waits for `close`.
     */
    fill: fill(parts),
    /** Begins to read the next batch from the backlog, in a child of the calling fiber, and does not wait for it. */
    readAhead: Effect.suspend(() =>
      backlog?.isActive() === true ? Effect.asVoid(Effect.fork(backlog.readAhead(options.batchSize))) : Effect.void
    ),
    /** Parked rows fill the memory: no row follows until some of them are unparked and settled. */
    isBlocked: () => isBlocked(parts),
    /** The batches that the writer works on, oldest first. */
    inFlight: batches.inFlight,
    /** Replaces the first batch in flight, by the same rows with updated notes (`certain`, `attempts`) or by its two halves. */
    replaceFirst: batches.replaceFirst,
    /** Removes the first batch in flight: its rows are in the database. */
    settleFirst: () => {
      const first = batches.inFlight()[0]
      batches.replaceFirst([])
      settle(parts, first === undefined ? [] : [first.rows])
    },
    parkFirst: batches.parkFirst,
    parked: batches.parked,
    unpark: batches.unpark,
    /** Removes rows that turned out to be settled. The shutdown calls it, after the writer has ended. */
    dropSettled: (isSettledRow: (row: HashedRow) => boolean) => settle(parts, batches.remove(isSettledRow)),
    /** Ends every wait; rows in the queue can still be taken. */
    close: Effect.suspend(() => {
      state.closed = true
      offered.check()
      return Effect.asVoid(closing.open)
    }),
    /** Completes when the queue closes. */
    closed: closing.await,
    isClosed: () => state.closed,
    /** Rows that are not settled, wherever they are. */
    depth,
    /** Of `depth`: rows that are only in the backlog. */
    spilledCount,
    /** Unreadable rows: the backlog could not return them, so they are never settled. */
    unreadableCount: () => state.unreadable,
    /** The highest number up to which rows may be unreadable. */
    unreadableUpTo: () => state.unreadableUpTo,
    /** The number before the first row that is neither settled nor unreadable. */
    settledUpTo: () => settledUpTo(parts),
    /** Completes when the row with this number is settled or unreadable; rows before it do not matter. */
    awaitSettled: (seq: number) => settled.when(() => isSettled(parts, seq)),
    /** Completes when no row is left. */
    awaitEmpty: settled.when(() => depth() === 0),
    /** Completes when rows are settled, or read back from the backlog, the next time. */
    nextSettlement: settled.next,
    /** Characters of the rows in memory. */
    pendingSize: () => memory.chars() + batches.chars(),
    /** When the oldest unsettled row was recorded. Of a spilled row only an earlier time is known: that of the last row read. */
    oldest: () =>
      batches.parked()[0]?.rows[0]?.timestamp ?? batches.inFlight()[0]?.rows[0]?.timestamp ?? oldestOutside(),
    /** As `oldest`, of the rows that a new row waits behind: parked rows do not count. */
    oldestInLine: () => batches.inFlight().find(({ wasParked }) => !wasParked)?.rows[0]?.timestamp ?? oldestOutside()
  }
})

export type WriteQueue = Effect.Effect.Success<ReturnType<typeof make>>

export const WriteQueue = Context.GenericTag<WriteQueue>("audit/queue/WriteQueue")

/** The queue of this process. When it settles rows, the journal may drop their frames and the waiter releases their answers. */
export const layer = (options: AuditLogOptions): Layer.Layer<WriteQueue, never, ProcessJournal | DurabilityWaiter> =>
  Layer.effect(
    WriteQueue,
    Effect.gen(function* () {
      const { eventJournal } = yield* ProcessJournal
      const waiter = yield* DurabilityWaiter
      return yield* make({
        capacity: options.queueCapacity,
        batchSize: options.batchSize,
        linger: options.linger,
        backlog: eventJournal === undefined ? undefined : JournalBacklog.backlogOf(eventJournal),
        onSettled: (rows) => {
          eventJournal?.settle(rows)
          waiter.settled(rows)
        }
      })
    })
  )
