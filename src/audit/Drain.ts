import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import { DatabaseError } from "../platform/DatabaseError.ts"
import type { AuditBuffer, Piece } from "./AuditBuffer.ts"
import { AuditStore, type Incarnation } from "./AuditStore.ts"
import * as DrainProgress from "./DrainProgress.ts"
import { isolate, type Move, nextMove } from "./NextMove.ts"
import { retryClass } from "./RetryClass.ts"
import { millisOf } from "./UuidV7.ts"

export interface Drain {
  /** Works until the buffer is closed and empty, or `giveUp` is called. Never fails; starts again when it dies of a defect. */
  readonly run: Effect.Effect<void>
  /** Makes `run` end as soon as the store answers; what is in the buffer stays there. */
  readonly giveUp: Effect.Effect<void>
  readonly progress: DrainProgress.DrainProgress
}

const firstPause = Duration.millis(50)
const longestPause = Duration.seconds(2)
const setUpPause = Duration.seconds(5)
const restartPause = Duration.seconds(1)
/** Once the buffer is closed the deadline is near: no pause is longer then. */
const closingPause = Duration.millis(100)
const maintenanceInterval = Duration.hours(1)
const maintenanceRetry = Duration.minutes(1)

/** The server's words without `detail`, which can quote the row. */
const wordsOf = (error: DatabaseError): string =>
  error.sqlstate === undefined ? error.reason : `${error.reason} (SQLSTATE ${error.sqlstate})`

/** Of a worker that died: PostgreSQL's internal_error, outcome unknown. */
const death = new DatabaseError({ phase: "commit", sqlstate: "XX000", reason: "the audit worker died of a defect" })

const monthOf = (id: string): string => new Date(millisOf(id)).toISOString().slice(0, 7)

const oneIdPerMonth = (piece: Piece) => [...new Map(piece.rows.map((row) => [monthOf(row.id), row.id])).values()]

/** Moves rows from the buffer into the store, in order, one transaction at a time. */
export const make = Effect.fnUntraced(function* (buffer: AuditBuffer, incarnation: Incarnation) {
  const store = yield* AuditStore
  const progress = DrainProgress.make(buffer.depth)
  const surrender = yield* Effect.makeLatch(false)
  let gaveUp = false
  let failures = 0
  let registered = false
  let maintenanceDue = 0

  const pause = (duration: Duration.Duration) =>
    Effect.suspend(() => {
      const sleep = buffer.isClosed()
        ? Effect.sleep(Duration.min(duration, closingPause))
        : Effect.raceFirst(Effect.sleep(duration), buffer.closed)
      return Effect.raceFirst(sleep, surrender.await)
    })

  const wait = Effect.fnUntraced(function* (reason: string) {
    yield* progress.trouble("retrying", reason)
    const jitter = yield* Random.nextRange(0.5, 1)
    const grown = Duration.min(Duration.times(firstPause, 2 ** Math.min(failures, 16)), longestPause)
    failures += 1
    yield* pause(Duration.times(grown, jitter))
  })

  const pauseFor = (reason: string) => Effect.zipRight(progress.trouble("paused", reason), pause(setUpPause))

  /** A failure that no row is to blame for. */
  const endure = (error: DatabaseError) =>
    retryClass(error) === "transient" ? wait(wordsOf(error)) : pauseFor(wordsOf(error))

  const settled = Effect.fnUntraced(function* (rows: { readonly committed: number; readonly deadLettered: number }) {
    buffer.replaceFirst([])
    failures = 0
    yield* progress.settled(rows)
  })

  const reject = Effect.fnUntraced(function* (piece: Piece, error: DatabaseError) {
    const row = piece.rows[0]
    if (row === undefined) return buffer.replaceFirst([])
    buffer.replaceFirst([piece])
    const why = { sqlstate: error.sqlstate ?? null, reason: wordsOf(error), attempts: piece.attempts }
    const kept = yield* Effect.either(store.deadLetter(row, why))
    if (Either.isLeft(kept)) return yield* endure(kept.left)
    yield* Effect.logError(
      `Audit event ${row.id} was refused by the table and is in gatekeeper.audit_dead_letter: ${why.reason}.`
    )
    yield* settled({ committed: 0, deadLettered: 1 })
  })

  const makePartitions = Effect.fnUntraced(function* (piece: Piece, error: DatabaseError) {
    buffer.replaceFirst([piece])
    for (const id of oneIdPerMonth(piece)) {
      const made = yield* Effect.either(store.makePartition(id))
      if (Either.isLeft(made)) return yield* endure(made.left)
      // An id that may have no partition makes its row bad data.
      if (!made.right) return yield* follow(isolate(piece), error)
    }
  })

  const follow = (move: Move, error: DatabaseError): Effect.Effect<void> => {
    switch (move._tag) {
      case "split":
        return Effect.sync(() => buffer.replaceFirst(move.pieces))
      case "reject":
        return reject(move.piece, error)
      case "make-partitions":
        return makePartitions(move.piece, error)
      case "again":
        return Effect.sync(() => buffer.replaceFirst([move.piece]))
      case "wait":
        return Effect.zipRight(
          Effect.sync(() => buffer.replaceFirst([move.piece])),
          wait(wordsOf(error))
        )
      case "pause":
        return Effect.zipRight(
          Effect.sync(() => buffer.replaceFirst([move.piece])),
          pauseFor(wordsOf(error))
        )
    }
  }

  const deliver = Effect.fnUntraced(function* (piece: Piece) {
    yield* progress.working
    const appended = yield* Effect.either(store.append(piece.rows, { certain: piece.certain }))
    if (Either.isLeft(appended)) return yield* follow(nextMove(piece, appended.left), appended.left)
    const { conflicts } = appended.right
    for (const id of conflicts) {
      yield* Effect.logError(
        `ALARM: the audit trail holds another event under the id ${id}. This process's event is in ` +
          "gatekeeper.audit_dead_letter; find out who writes with forged or repeated ids."
      )
    }
    yield* settled({ committed: piece.rows.length - conflicts.length, deadLettered: conflicts.length })
  })

  /** A failure in here delays no event: a row whose partition is missing has it made on its own. */
  const maintain = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    if (now < maintenanceDue) return
    maintenanceDue = now + Duration.toMillis(maintenanceRetry)
    if (!registered) {
      yield* store.register(incarnation)
      registered = true
    }
    yield* store.makePartitionsAhead
    maintenanceDue = now + Duration.toMillis(maintenanceInterval)
  }).pipe(
    Effect.catchAll((error) =>
      Effect.logWarning(`Audit partitions were not made ahead: ${wordsOf(error)}; trying again soon.`)
    )
  )

  const fill = Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Effect.raceFirst(
      Effect.timeoutOption(buffer.fill, Duration.millis(Math.max(maintenanceDue - now, 0))),
      surrender.await
    )
  )

  const loop = Effect.gen(function* () {
    while (!gaveUp) {
      if (!buffer.isClosed()) yield* maintain
      yield* fill
      const piece = buffer.inHand()[0]
      if (piece !== undefined) yield* deliver(piece)
      else if (buffer.isClosed()) return
    }
  })

  /** What the fiber died of may be the first piece's fault, and may have written it. */
  const afterDeath = Effect.fnUntraced(function* (cause: Cause.Cause<never>) {
    yield* progress.trouble("dead", Cause.pretty(cause).split("\n", 1).join(""))
    const piece = buffer.inHand()[0]
    if (piece !== undefined) {
      const move = nextMove(piece, death)
      // The pause is taken below.
      if (move._tag === "wait") buffer.replaceFirst([move.piece])
      else yield* follow(move, death)
    }
    yield* pause(restartPause)
  })

  const run: Effect.Effect<void> = loop.pipe(
    Effect.sandbox,
    Effect.tapError(afterDeath),
    Effect.retry(Schedule.forever),
    Effect.ignore
  )

  const drain: Drain = {
    run: Effect.zipRight(Effect.logInfo("Audit background worker started."), run),
    giveUp: Effect.suspend(() => {
      gaveUp = true
      return Effect.asVoid(surrender.open)
    }),
    progress
  }
  return drain
})
