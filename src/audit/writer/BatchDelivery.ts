import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { millisOf } from "../encoding/AuditId.ts"
import { type Batch, splitAt } from "../queue/Batch.ts"
import type { WriteQueue } from "../queue/WriteQueue.ts"
import { type AuditStore, undecidedRow } from "../store/AuditStore.ts"
import { describe, retryClass } from "../store/RetryClass.ts"
import type { Backoff } from "./Backoff.ts"
import {
  type BatchSizer,
  believedRejections,
  type ConsecutiveRejections,
  confirmedSizer,
  countRejection,
  decideRetry,
  isolate,
  noRejections,
  type RetryDecision,
  shrunkSizer,
  suggestsSetUpProblem
} from "./RetryDecision.ts"
import type { WriterProgress } from "./WriterProgress.ts"

const longestPause = Duration.seconds(2)
const setUpPause = Duration.seconds(5)
/** Between two attempts at parked batches, in milliseconds. */
const parkedPauses = { first: Duration.toMillis("5 seconds"), longest: Duration.toMillis("1 minute") } as const

/** What a writer works with, and what it has learnt from the database's answers. */
export interface Delivery {
  readonly queue: WriteQueue
  readonly store: typeof AuditStore.Service
  readonly progress: WriterProgress
  readonly backoff: Backoff
  /** Rows in a batch at most. */
  readonly batchSize: number
  rejections: ConsecutiveRejections
  sizer: BatchSizer
  /** When the parked batches are tried again, in milliseconds since the epoch. */
  parkedDue: number
  parkedPause: number
}

export const make = (parts: Pick<Delivery, "queue" | "store" | "progress" | "backoff" | "batchSize">): Delivery => ({
  ...parts,
  rejections: noRejections,
  sizer: { rows: parts.batchSize, streak: 0 },
  parkedDue: 0,
  parkedPause: parkedPauses.first
})

const monthOf = (id: string): string => new Date(millisOf(id)).toISOString().slice(0, 7)

const oneIdPerMonth = (batch: Batch) => [...new Map(batch.rows.map((row) => [monthOf(row.id), row.id])).values()]

const wait = ({ backoff, progress }: Delivery, error: DatabaseError) =>
  Effect.zipRight(progress.trouble("retrying", describe(error)), backoff.growing(longestPause))

const pauseForSetUp = ({ backoff, progress }: Delivery, error: DatabaseError) =>
  Effect.zipRight(progress.trouble("paused", describe(error)), backoff.pause(setUpPause))

/** Parks the first batch: no answered event may vanish, and no row may block the others. It is tried again later. */
export const park = Effect.fnUntraced(function* (delivery: Delivery) {
  delivery.parkedDue = (yield* Clock.currentTimeMillis) + delivery.parkedPause
  delivery.queue.parkFirst()
})

/** Puts the parked batches in flight again; the next pause is longer. */
export const unpark = (delivery: Delivery) =>
  Effect.sync(() => {
    delivery.queue.unpark()
    delivery.parkedPause = Math.min(delivery.parkedPause * 2, parkedPauses.longest)
  })

const settled = Effect.fnUntraced(function* (
  delivery: Delivery,
  rows: { readonly committed: number; readonly deadLettered: number }
) {
  const { backoff, progress, queue } = delivery
  queue.settleFirst()
  backoff.reset()
  if (rows.committed > 0) {
    // Other rows are written, so the parked rows were refused because of their content: try them now.
    if (delivery.rejections.count >= believedRejections) delivery.parkedDue = 0
    delivery.rejections = noRejections
  }
  if (queue.parked().length === 0) delivery.parkedPause = parkedPauses.first
  yield* progress.settled(rows)
})

/** The dead letter of the first batch's only row was not written. */
const onDeadLetterFailure = Effect.fnUntraced(function* (delivery: Delivery, error: DatabaseError) {
  const kind = retryClass(error)
  if (kind === "transient") return yield* wait(delivery, error)
  if (kind === "set-up") return yield* pauseForSetUp(delivery, error)
  yield* Effect.logError(
    `ALARM: an audit event was refused by the table and by gatekeeper.audit_dead_letter too: ${describe(error)}. ` +
      "It is kept and tried again; later events are written."
  )
  yield* park(delivery)
})

/** Marks the first batch as possibly written, because its outcome is unknown. */
const doubt = ({ queue }: Delivery, batch: Batch) =>
  Effect.sync(() => queue.replaceFirst([{ ...batch, certain: false }]))

/** Writes a dead letter for the batch's only row. */
const reject = Effect.fnUntraced(function* (delivery: Delivery, batch: Batch, error: DatabaseError) {
  const { backoff, progress, queue, rejections, store } = delivery
  const row = batch.rows[0]
  if (row === undefined) return queue.settleFirst()
  queue.replaceFirst([batch])
  if (error.sqlstate === undecidedRow) {
    if (batch.attempts <= 1)
      yield* Effect.logWarning(`Audit event ${row.id} waits and is tried again: ${describe(error)}`)
    return yield* park(delivery)
  }
  const why = { sqlstate: error.sqlstate ?? null, reason: describe(error), attempts: batch.attempts }
  if (suggestsSetUpProblem(rejections, why.sqlstate)) {
    yield* progress.trouble("paused", `${believedRejections} events in a row were refused: ${why.reason}`)
    yield* park(delivery)
    return yield* backoff.growing(setUpPause)
  }
  const kept = yield* Effect.either(store.deadLetter(row, why)).pipe(Effect.onInterrupt(() => doubt(delivery, batch)))
  if (Either.isLeft(kept)) {
    if (kept.left.phase === "commit") yield* doubt(delivery, batch)
    return yield* onDeadLetterFailure(delivery, kept.left)
  }
  delivery.rejections = countRejection(rejections, why.sqlstate)
  yield* Effect.logError(
    `Audit event ${row.id} was refused by the table and is in gatekeeper.audit_dead_letter: ${why.reason}.`
  )
  yield* settled(delivery, { committed: 0, deadLettered: 1 })
})

const makePartitions = Effect.fnUntraced(function* (delivery: Delivery, batch: Batch, error: DatabaseError) {
  for (const id of oneIdPerMonth(batch)) {
    const made = yield* Effect.either(delivery.store.makePartition(id))
    if (Either.isLeft(made)) {
      // The rows are not the cause of this failure.
      return yield* retryClass(made.left) === "transient"
        ? wait(delivery, made.left)
        : pauseForSetUp(delivery, made.left)
    }
    // No partition may exist for this id, so its row is invalid.
    if (!made.right) return yield* apply(delivery, isolate({ ...batch, attempts: batch.attempts + 1 }), error)
  }
  delivery.queue.replaceFirst([{ ...batch, partitionsMade: batch.partitionsMade + 1 }])
})

/** Carries out a decision about the first batch in flight, which failed with `error`. */
export const apply = Effect.fnUntraced(function* (
  delivery: Delivery,
  decision: RetryDecision,
  error: DatabaseError
): Effect.fn.Return<void> {
  const { queue } = delivery
  if (decision._tag === "split") return queue.replaceFirst(decision.batches)
  if (decision._tag === "reject") return yield* reject(delivery, decision.batch, error)
  queue.replaceFirst([decision.batch])
  switch (decision._tag) {
    case "again":
      return
    case "make-partitions":
      return yield* makePartitions(delivery, decision.batch, error)
    case "pause":
      return yield* pauseForSetUp(delivery, error)
    case "shrink":
      delivery.sizer = shrunkSizer(decision.batch.rows.length)
      return yield* wait(delivery, error)
    case "wait":
      return yield* wait(delivery, error)
  }
})

/** Writes the first batch in flight, or does what its failure asks for. Never fails. */
export const writeBatch = Effect.fnUntraced(function* (delivery: Delivery, batch: Batch) {
  const { batchSize, progress, queue, sizer, store } = delivery
  // Splits only what is sent now: the rest may go in larger batches again.
  if (batch.rows.length > sizer.rows) return queue.replaceFirst(splitAt(batch, sizer.rows))
  yield* progress.working
  const appended = yield* Effect.either(store.append(batch.rows, { certain: batch.certain })).pipe(
    Effect.onInterrupt(() => doubt(delivery, batch))
  )
  if (Either.isLeft(appended)) {
    return yield* apply(delivery, decideRetry(batch, appended.left), appended.left)
  }
  const { conflicts, refused = [] } = appended.right
  for (const id of conflicts) {
    yield* Effect.logError(
      `ALARM: the audit trail holds another event under the id ${id}. This process's event is in ` +
        "gatekeeper.audit_dead_letter; find out who writes with forged or repeated ids."
    )
  }
  for (const { id, reason } of refused) {
    yield* Effect.logError(
      `ALARM: the gatekeeper does not accept the audit event ${id} from its source: ${reason}. The event is in ` +
        "gatekeeper.audit_dead_letter. Run the same version on both sides; else find out who wrote it."
    )
  }
  delivery.sizer = confirmedSizer(sizer, batch.rows.length, batchSize)
  const deadLettered = conflicts.length + refused.length
  yield* settled(delivery, { committed: batch.rows.length - deadLettered, deadLettered })
})
