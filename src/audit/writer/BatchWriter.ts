import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { millisOf } from "../encoding/UuidV7.ts"
import { type Batch, splitAt } from "../queue/Batch.ts"
import type { WriteQueue } from "../queue/WriteQueue.ts"
import { AuditStore } from "../store/AuditStore.ts"
import * as Backoff from "./Backoff.ts"
import * as BatchSizer from "./BatchSizer.ts"
import * as ConsecutiveRejections from "./ConsecutiveRejections.ts"
import { retryClass } from "./RetryClass.ts"
import { decideRetry, isolate, type RetryDecision } from "./RetryDecision.ts"
import type { WriterProgress } from "./WriterProgress.ts"

export interface BatchWriter {
  /** Works until the buffer is closed and empty, or `giveUp` is called. Never fails; starts again when it dies of a defect. */
  readonly run: Effect.Effect<void>
  /** Makes `run` end as soon as the store answers; what is in the buffer stays there. */
  readonly giveUp: Effect.Effect<void>
}

const longestPause = Duration.seconds(2)
const setUpPause = Duration.seconds(5)
const restartPause = Duration.seconds(1)
/** Between two tries of what was set aside. */
const asidePauses = { first: Duration.toMillis("5 seconds"), longest: Duration.toMillis("1 minute") } as const

/** The server's words without `detail`, which can quote the row. */
export const describe = (error: DatabaseError): string =>
  error.sqlstate === undefined ? error.reason : `${error.reason} (SQLSTATE ${error.sqlstate})`

/** Of a worker that died: PostgreSQL's internal_error, outcome unknown. */
const death = new DatabaseError({ phase: "commit", sqlstate: "XX000", reason: "the audit worker died of a defect" })

const monthOf = (id: string): string => new Date(millisOf(id)).toISOString().slice(0, 7)

const oneIdPerMonth = (piece: Batch) => [...new Map(piece.rows.map((row) => [monthOf(row.id), row.id])).values()]

const firstLine = (cause: Cause.Cause<never>): string => Cause.pretty(cause).split("\n", 1).join("")

/** Moves rows from the buffer into the store, in order, one transaction at a time. */
export const make = Effect.fnUntraced(function* (
  buffer: WriteQueue,
  progress: WriterProgress,
  options: { readonly batchSize: number }
) {
  const store = yield* AuditStore
  const { giveUp, gaveUp, growing, orGivenUp, pause, reset } = yield* Backoff.make(buffer)
  let rejections = ConsecutiveRejections.none
  let stride: BatchSizer.BatchSizer = { rows: options.batchSize, streak: 0 }
  let asideDue = 0
  let asidePause = asidePauses.first

  const wait = (reason: string) => Effect.zipRight(progress.trouble("retrying", reason), growing(longestPause))

  const pauseFor = (reason: string) => Effect.zipRight(progress.trouble("paused", reason), pause(setUpPause))

  /** Nothing answered may vanish, and no row may hold up the others: it is tried again later, and stays in the buffer. */
  const setAside = Effect.gen(function* () {
    asideDue = (yield* Clock.currentTimeMillis) + asidePause
    buffer.parkFirst()
  })

  const takeBack = Effect.sync(() => {
    buffer.unpark()
    asidePause = Math.min(asidePause * 2, asidePauses.longest)
  })

  const settled = Effect.fnUntraced(function* (rows: { readonly committed: number; readonly deadLettered: number }) {
    buffer.settleFirst()
    reset()
    if (rows.committed > 0) {
      // Others are written, so what was refused in a row was refused for its own sake.
      if (rejections.count >= ConsecutiveRejections.believed) asideDue = 0
      rejections = ConsecutiveRejections.none
    }
    if (buffer.parked().length === 0) asidePause = asidePauses.first
    yield* progress.settled(rows)
  })

  /** The dead letter of the first piece's row was not written. */
  const endure = Effect.fnUntraced(function* (error: DatabaseError) {
    const kind = retryClass(error)
    if (kind === "transient") return yield* wait(describe(error))
    if (kind === "set-up") return yield* pauseFor(describe(error))
    yield* Effect.logError(
      `ALARM: an audit event was refused by the table and by gatekeeper.audit_dead_letter too: ${describe(error)}. ` +
        "It is kept and tried again; the others go on."
    )
    yield* setAside
  })

  /** The first piece in hand may have been written, but nobody heard of it. */
  const doubt = (piece: Batch) => Effect.sync(() => buffer.replaceFirst([{ ...piece, certain: false }]))

  const reject = Effect.fnUntraced(function* (piece: Batch, error: DatabaseError) {
    const row = piece.rows[0]
    if (row === undefined) return buffer.settleFirst()
    buffer.replaceFirst([piece])
    const why = { sqlstate: error.sqlstate ?? null, reason: describe(error), attempts: piece.attempts }
    if (ConsecutiveRejections.suggestSetUp(rejections, why.sqlstate)) {
      yield* progress.trouble("paused", `${ConsecutiveRejections.believed} events in a row were refused: ${why.reason}`)
      yield* setAside
      return yield* growing(setUpPause)
    }
    const kept = yield* Effect.either(store.deadLetter(row, why)).pipe(Effect.onInterrupt(() => doubt(piece)))
    if (Either.isLeft(kept)) {
      if (kept.left.phase === "commit") yield* doubt(piece)
      return yield* endure(kept.left)
    }
    rejections = ConsecutiveRejections.counted(rejections, why.sqlstate)
    yield* Effect.logError(
      `Audit event ${row.id} was refused by the table and is in gatekeeper.audit_dead_letter: ${why.reason}.`
    )
    yield* settled({ committed: 0, deadLettered: 1 })
  })

  const makePartitions = Effect.fnUntraced(function* (piece: Batch, error: DatabaseError) {
    for (const id of oneIdPerMonth(piece)) {
      const made = yield* Effect.either(store.makePartition(id))
      if (Either.isLeft(made)) {
        // Whatever stands in its way, the rows have no part in it.
        return yield* retryClass(made.left) === "transient" ? wait(describe(made.left)) : pauseFor(describe(made.left))
      }
      // An id that may have no partition makes its row bad data.
      if (!made.right) return yield* follow(isolate({ ...piece, attempts: piece.attempts + 1 }), error)
    }
    buffer.replaceFirst([{ ...piece, partitionsMade: piece.partitionsMade + 1 }])
  })

  const follow = Effect.fnUntraced(function* (move: RetryDecision, error: DatabaseError): Effect.fn.Return<void> {
    if (move._tag === "split") return buffer.replaceFirst(move.pieces)
    if (move._tag === "reject") return yield* reject(move.piece, error)
    buffer.replaceFirst([move.piece])
    switch (move._tag) {
      case "again":
        return
      case "make-partitions":
        return yield* makePartitions(move.piece, error)
      case "pause":
        return yield* pauseFor(describe(error))
      case "shorten":
        stride = BatchSizer.shortened(move.piece.rows.length)
        return yield* wait(describe(error))
      case "wait":
        return yield* wait(describe(error))
    }
  })

  const deliver = Effect.fnUntraced(function* (piece: Batch) {
    // Only what is sent now: the rest may go in longer pieces again.
    if (piece.rows.length > stride.rows) return buffer.replaceFirst(splitAt(piece, stride.rows))
    yield* progress.working
    const appended = yield* Effect.either(store.append(piece.rows, { certain: piece.certain })).pipe(
      Effect.onInterrupt(() => doubt(piece))
    )
    if (Either.isLeft(appended)) return yield* follow(decideRetry(piece, appended.left), appended.left)
    const { conflicts } = appended.right
    for (const id of conflicts) {
      yield* Effect.logError(
        `ALARM: the audit trail holds another event under the id ${id}. This process's event is in ` +
          "gatekeeper.audit_dead_letter; find out who writes with forged or repeated ids."
      )
    }
    stride = BatchSizer.confirmed(stride, piece.rows.length, options.batchSize)
    yield* settled({ committed: piece.rows.length - conflicts.length, deadLettered: conflicts.length })
  })

  /** Rows from the queue, or those set aside when their time has come or nothing else is left. */
  const fill = Effect.gen(function* () {
    const aside = buffer.parked().reduce((sum, piece) => sum + piece.rows.length, 0)
    if (aside === 0) return yield* orGivenUp(buffer.fill)
    const left = Duration.millis(Math.max(0, asideDue - (yield* Clock.currentTimeMillis)))
    const isHeldUp = buffer.isBlocked()
    if (isHeldUp) {
      yield* progress.trouble(
        "paused",
        `${aside} events that neither the table nor the dead letters take fill the memory`
      )
    }
    const nothingElse = isHeldUp || (buffer.isClosed() && buffer.depth() === aside)
    if (nothingElse) yield* pause(left)
    if (nothingElse || Duration.toMillis(left) === 0) return yield* takeBack
    yield* orGivenUp(Effect.timeoutOption(buffer.fill, left))
  })

  const loop = Effect.gen(function* () {
    while (!gaveUp()) {
      yield* fill
      const piece = buffer.inFlight()[0]
      if (piece !== undefined) yield* deliver(piece)
      else if (buffer.isClosed() && buffer.depth() === 0) return
    }
  })

  /** What the fiber died of may be the first piece's fault, and may have written it. */
  const afterDeath = Effect.fnUntraced(function* (cause: Cause.Cause<never>) {
    yield* progress.trouble("dead", firstLine(cause))
    const piece = buffer.inFlight()[0]
    if (piece === undefined) return
    const move = decideRetry(piece, death)
    // The pause is taken afterwards.
    if (move._tag === "wait") buffer.replaceFirst([move.piece])
    else yield* follow(move, death)
  })

  /** Not even a dead letter comes of it. */
  const afterSecondDeath = Effect.fnUntraced(function* (cause: Cause.Cause<never>) {
    yield* setAside
    yield* Effect.logError(
      `ALARM: an audit event can be neither written nor put among the dead letters: ${firstLine(cause)}. It is kept in memory ` +
        "and tried again; the others go on."
    )
  })

  const ended = Effect.as(loop, true).pipe(
    Effect.catchAllCause((cause) =>
      Cause.isInterruptedOnly(cause)
        ? Effect.failCause(cause)
        : afterDeath(cause).pipe(
            Effect.catchAllCause(afterSecondDeath),
            Effect.catchAllCause(() => Effect.void),
            Effect.zipRight(pause(restartPause)),
            Effect.as(false)
          )
    )
  )

  const drain: BatchWriter = {
    run: Effect.asVoid(Effect.repeat(ended, { until: (done) => done })),
    giveUp
  }
  return drain
})
