import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type { DatabaseError } from "../platform/DatabaseError.ts"
import type { AuditBuffer, Piece } from "./AuditBuffer.ts"
import type { DrainState } from "./AuditStatus.ts"
import { AuditStore, type Incarnation } from "./AuditStore.ts"
import { isolate, type Move, nextMove } from "./NextMove.ts"
import { retryClass } from "./RetryClass.ts"
import { millisOf } from "./UuidV7.ts"

export interface Drain {
  /** Works until the buffer is closed and empty, or `giveUp` is called. Never fails; started again when it dies. */
  readonly run: Effect.Effect<void>
  /** Makes `run` end at once; what is in the buffer stays there. */
  readonly giveUp: Effect.Effect<void>
  readonly progress: () => DrainProgress
}

export interface DrainProgress {
  readonly state: DrainState
  readonly committed: number
  readonly deadLettered: number
  readonly restarts: number
}

const firstPause = Duration.millis(50)
const longestPause = Duration.seconds(2)
const setUpPause = Duration.seconds(5)
const restartPause = Duration.seconds(1)
/** The deadline is near when the buffer is closed: no pause is longer then. */
const closingPause = Duration.millis(100)
const maintenanceInterval = Duration.hours(1)
const maintenanceRetry = Duration.minutes(1)
/** A state that lasts is told again this often. */
const reminder = Duration.toMillis("1 minute")

/** The server's own words without `detail`, which can quote the row. */
const wordsOf = (error: DatabaseError): string =>
  error.sqlstate === undefined ? error.reason : `${error.reason} (SQLSTATE ${error.sqlstate})`

const monthOf = (id: string): string => new Date(millisOf(id)).toISOString().slice(0, 7)

/** One id for each month that the rows need. */
const oneIdPerMonth = (piece: Piece) => [...new Map(piece.rows.map((row) => [monthOf(row.id), row.id])).values()]

/** Moves rows from the buffer into the store, in order, one transaction at a time. */
export const make = Effect.fnUntraced(function* (buffer: AuditBuffer, incarnation: Incarnation) {
  const store = yield* AuditStore
  const given = yield* Effect.makeLatch(false)
  let gaveUp = false
  let state: DrainState = { _tag: "idle" }
  let committed = 0
  let deadLettered = 0
  let restarts = 0
  let failures = 0
  let toldAt = 0
  let registered = false
  let maintenanceDue = 0

  const pause = (duration: Duration.Duration) =>
    Effect.suspend(() =>
      Effect.raceFirst(
        buffer.isClosed()
          ? Effect.sleep(Duration.min(duration, closingPause))
          : Effect.raceFirst(Effect.sleep(duration), buffer.closed),
        given.await
      )
    )

  const trouble = Effect.fnUntraced(function* (tag: "retrying" | "paused" | "dead", reason: string) {
    const now = yield* Clock.currentTimeMillis
    const since = state._tag === tag ? state.since : now
    if (state._tag !== tag || now - toldAt >= reminder) {
      toldAt = now
      const waiting = `${buffer.depth()} events wait, none is lost`
      yield* tag === "retrying"
        ? Effect.logWarning(`The audit trail cannot be written, trying again: ${reason}; ${waiting}.`)
        : tag === "paused"
          ? Effect.logError(
              `The audit trail is paused: ${reason}; ${waiting}. Mend the role or the schema of the gatekeeper's database; ` +
                "the drain goes on by itself."
            )
          : Effect.logError(`The audit worker died and is started again: ${reason}; ${waiting}.`)
    }
    state = { _tag: tag, reason, since }
  })

  const wait = Effect.fnUntraced(function* (reason: string) {
    yield* trouble("retrying", reason)
    const jitter = yield* Random.nextRange(0.5, 1)
    const grown = Duration.min(Duration.times(firstPause, 2 ** Math.min(failures, 16)), longestPause)
    failures += 1
    yield* pause(Duration.times(grown, jitter))
  })

  const pauseFor = (reason: string) => Effect.zipRight(trouble("paused", reason), pause(setUpPause))

  /** For what concerns no row: the database is away, or somebody has to mend something. */
  const endure = (error: DatabaseError) =>
    retryClass(error) === "transient" ? wait(wordsOf(error)) : pauseFor(wordsOf(error))

  const settled = Effect.fnUntraced(function* (inTable: number, rejected: number) {
    committed += inTable
    deadLettered += rejected
    buffer.replaceFirst([])
    failures = 0
    if (state._tag === "retrying" || state._tag === "paused" || state._tag === "dead") {
      yield* Effect.logInfo(`The audit trail is written again; ${buffer.depth()} events wait.`)
    }
    state = { _tag: buffer.depth() === 0 ? "idle" : "draining" }
  })

  const reject = Effect.fnUntraced(function* (piece: Piece, error: DatabaseError) {
    const row = piece.rows[0]
    if (row === undefined) return buffer.replaceFirst([])
    const kept = yield* Effect.either(
      store.deadLetter(row, { sqlstate: error.sqlstate ?? null, reason: wordsOf(error), attempts: piece.attempts })
    )
    if (Either.isLeft(kept)) return yield* endure(kept.left)
    yield* Effect.logError(
      `Audit event ${row.id} is in gatekeeper.audit_dead_letter: the table refuses it (SQLSTATE ${error.sqlstate}).`
    )
    yield* settled(0, 1)
  })

  const makePartitions = Effect.fnUntraced(function* (piece: Piece, error: DatabaseError) {
    buffer.replaceFirst([piece])
    for (const id of oneIdPerMonth(piece)) {
      const made = yield* Effect.either(store.makePartition(id))
      if (Either.isLeft(made)) return yield* endure(made.left)
      if (!made.right) return yield* follow(isolate(piece), error)
    }
  })

  const follow = (move: Move, error: DatabaseError): Effect.Effect<void> => {
    switch (move._tag) {
      case "split":
        return Effect.sync(() => buffer.replaceFirst(move.pieces))
      case "reject":
        return Effect.zipRight(
          Effect.sync(() => buffer.replaceFirst([move.piece])),
          reject(move.piece, error)
        )
      case "make-partitions":
        return makePartitions(move.piece, error)
      default:
        return Effect.suspend(() => {
          buffer.replaceFirst([move.piece])
          if (move._tag === "again") return Effect.void
          return move._tag === "wait" ? wait(wordsOf(error)) : pauseFor(wordsOf(error))
        })
    }
  }

  const deliver = Effect.fnUntraced(function* (piece: Piece) {
    if (state._tag === "idle") state = { _tag: "draining" }
    const appended = yield* Effect.either(store.append(piece.rows, { certain: piece.certain }))
    if (Either.isLeft(appended)) return yield* follow(nextMove(piece, appended.left), appended.left)
    for (const id of appended.right.conflicts) {
      yield* Effect.logError(
        `ALARM: the audit trail holds another event under the id ${id}; this process's event is in ` +
          "gatekeeper.audit_dead_letter. Find out who writes with forged or repeated ids."
      )
    }
    const rejected = appended.right.conflicts.length
    yield* settled(piece.rows.length - rejected, rejected)
  })

  /** Makes the incarnation known and partitions ahead. A failure delays no event: its own partition is made when it lacks. */
  const maintain = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    if (now < maintenanceDue) return
    const work = registered ? store.makePartitionsAhead : Effect.zipRight(store.register(incarnation), store.makePartitionsAhead)
    const done = yield* Effect.either(work)
    registered ||= Either.isRight(done)
    maintenanceDue = now + Duration.toMillis(Either.isRight(done) ? maintenanceInterval : maintenanceRetry)
    if (Either.isLeft(done)) {
      yield* Effect.logWarning(`Audit partitions could not be made ahead: ${wordsOf(done.left)}; trying again in a minute.`)
    }
  })

  const fill = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    yield* Effect.raceFirst(
      Effect.timeoutOption(buffer.fill, Duration.millis(Math.max(maintenanceDue - now, 0))),
      given.await
    )
  })

  const loop = Effect.gen(function* () {
    while (!gaveUp) {
      yield* maintain
      yield* fill
      const piece = buffer.inHand()[0]
      if (piece !== undefined) {
        yield* deliver(piece)
      } else if (buffer.isClosed()) {
        return
      }
    }
  })

  /** Whatever the fiber died of may be the first piece's fault, and may have written it. */
  const blame = Effect.suspend(() => {
    const piece = buffer.inHand()[0]
    if (piece === undefined) return Effect.void
    const error = new DatabaseErrorOfDefect()
    return follow(nextMove(piece, error), error)
  })

  return { run: loop } as never
})
