import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import type { AuditLogOptions } from "../AuditSettings.ts"
import { Recorder } from "../queue/Recorder.ts"
import { WriteQueue } from "../queue/WriteQueue.ts"
import { AuditStore } from "../store/AuditStore.ts"
import * as Backoff from "./Backoff.ts"
import { apply, type Delivery, make as makeDelivery, park, unpark, writeBatch } from "./BatchDelivery.ts"
import { decideRetry } from "./RetryDecision.ts"
import * as WriterProgress from "./WriterProgress.ts"

const restartPause = Duration.seconds(1)

/** The failure of a writer that died: PostgreSQL's internal_error, with an unknown outcome. */
const death = new DatabaseError({ phase: "commit", sqlstate: "XX000", reason: "the audit writer died of a defect" })

const firstLine = (cause: Cause.Cause<never>): string => Cause.pretty(cause).split("\n", 1).join("")

/** Puts rows in flight: from the queue, or the parked ones if they are due or nothing else is left. */
const fill = Effect.fnUntraced(function* (delivery: Delivery) {
  const { backoff, progress, queue } = delivery
  const parked = queue.parked().reduce((sum, batch) => sum + batch.rows.length, 0)
  if (parked === 0) return yield* backoff.orGivenUp(queue.fill)
  const left = Duration.millis(Math.max(0, delivery.parkedDue - (yield* Clock.currentTimeMillis)))
  const isBlocked = queue.isBlocked()
  if (isBlocked) {
    yield* progress.trouble(
      "paused",
      `${parked} events that neither the table nor the dead letters accept fill the memory`
    )
  }
  const nothingElse = isBlocked || (queue.isClosed() && queue.depth() === parked)
  if (nothingElse) yield* backoff.pause(left)
  if (nothingElse || Duration.toMillis(left) === 0) return yield* unpark(delivery)
  yield* backoff.orGivenUp(Effect.timeoutOption(queue.fill, left))
})

const loop = Effect.fnUntraced(function* (delivery: Delivery) {
  const { backoff, queue } = delivery
  while (!backoff.gaveUp()) {
    yield* fill(delivery)
    const batch = queue.inFlight()[0]
    if (batch !== undefined) {
      yield* queue.readAhead
      yield* writeBatch(delivery, batch)
    } else if (queue.isClosed() && queue.depth() === 0) return
  }
})

/** The first batch may have caused the defect, and may have been written. */
const afterDefect = Effect.fnUntraced(function* (delivery: Delivery, cause: Cause.Cause<never>) {
  const { progress, queue } = delivery
  yield* progress.trouble("dead", firstLine(cause))
  const batch = queue.inFlight()[0]
  if (batch === undefined) return
  const decision = decideRetry(batch, death)
  // The pause follows in `make`.
  if (decision._tag === "wait") queue.replaceFirst([decision.batch])
  else yield* apply(delivery, decision, death)
})

/** A dead letter could not be written either. */
const afterSecondDefect = Effect.fnUntraced(function* (delivery: Delivery, cause: Cause.Cause<never>) {
  yield* park(delivery)
  yield* Effect.logError(
    `ALARM: an audit event can be neither written nor put among the dead letters: ${firstLine(cause)}. It is kept in memory ` +
      "and tried again; later events are written."
  )
})

/** Moves rows from a queue into the store, in order, one transaction at a time. */
export const make = Effect.fnUntraced(function* (
  queue: WriteQueue,
  progress: WriterProgress.WriterProgress,
  options: { readonly batchSize: number }
) {
  const store = yield* AuditStore
  const backoff = yield* Backoff.make(queue)
  const delivery = makeDelivery({ queue, store, progress, backoff, batchSize: options.batchSize })

  const ended = Effect.as(loop(delivery), true).pipe(
    Effect.catchAllCause((cause) =>
      Cause.isInterruptedOnly(cause)
        ? Effect.failCause(cause)
        : afterDefect(delivery, cause).pipe(
            Effect.catchAllCause((second) => afterSecondDefect(delivery, second)),
            Effect.catchAllCause(() => Effect.void),
            Effect.zipRight(backoff.pause(restartPause)),
            Effect.as(false)
          )
    )
  )

  return {
    /** Works until the queue is closed and empty, or `giveUp` is called. Never fails; restarts after a defect. */
    run: Effect.asVoid(Effect.repeat(ended, { until: (done) => done })),
    /** Makes `run` end as soon as the store answers; unwritten rows stay in the queue. */
    giveUp: backoff.giveUp
  }
})

/** Starts the writer of this process, which runs until its scope closes. */
const start = Effect.fnUntraced(function* ({ batchSize }: AuditLogOptions) {
  const queue = yield* WriteQueue
  const recorder = yield* Recorder
  const progress = WriterProgress.make({ depth: queue.depth, shed: () => recorder.counts().shed })
  const writer = yield* make(queue, progress, { batchSize })
  const fiber = yield* Effect.forkScoped(
    Effect.zipRight(Effect.logInfo("Audit background worker started."), writer.run)
  )
  return { giveUp: writer.giveUp, progress, fiber }
})

export type RunningBatchWriter = Effect.Effect.Success<ReturnType<typeof start>>

export const RunningBatchWriter = Context.GenericTag<RunningBatchWriter>("audit/writer/BatchWriter")

export const layer = (
  options: AuditLogOptions
): Layer.Layer<RunningBatchWriter, never, AuditStore | Recorder | WriteQueue> =>
  Layer.scoped(RunningBatchWriter, start(options))
