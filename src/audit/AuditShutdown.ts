import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type { Pipeline } from "./Pipeline.ts"
import { AuditStore } from "./store/AuditStore.ts"

export interface AuditEndOptions
  extends Pick<Pipeline, "buffer" | "drain" | "journal" | "keeps" | "losses" | "lossWatch" | "progress" | "recorder"> {
  /** The drain's fiber. */
  readonly worker: Fiber.RuntimeFiber<void>
  /** Everything that runs beside it. */
  readonly upkeep: Fiber.RuntimeFiber<void>
  /** For the whole end. */
  readonly deadline: Duration.DurationInput
  /** Told when `count` events are not known to be in the database, nor in the journal. */
  readonly onUnwritten: (count: number) => Effect.Effect<void>
}

/**
 * When each part of the end is over at the latest, as a share of the deadline; the time that one leaves falls to the next.
 * What is not written by the end of `flush` is given up, so that it can still be counted and told in time.
 */
const endsAt = { receipt: 0.3, flush: 0.6, giveUp: 0.7, interrupt: 0.75, locate: 0.85, signOff: 1 } as const

/** Closes the intake, writes what is queued, tells what could not be written or stays in the journal, and signs off. */
export const make = (options: AuditEndOptions): Effect.Effect<Effect.Effect<void>, never, AuditStore> =>
  Effect.map(AuditStore, (store) =>
    Effect.gen(function* () {
      const { buffer, drain, journal, losses, lossWatch, progress, recorder, upkeep, worker } = options
      const { incarnation } = recorder
      const start = yield* Clock.currentTimeMillis

      const within = <A, E>(part: keyof typeof endsAt, effect: Effect.Effect<A, E>) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const left = start + Duration.toMillis(options.deadline) * endsAt[part] - now
          // A server that hangs answers a cancel request as little as the statement: nobody waits for that.
          return effect.pipe(
            Effect.disconnect,
            Effect.interruptible,
            Effect.timeoutOption(Duration.millis(Math.max(0, left)))
          )
        })

      /** Gives up what is not written. From then on the drain writes nothing more, so what is counted stays true. */
      const giveUp = Effect.gen(function* () {
        yield* drain.giveUp
        yield* store.abandon
        // It ends by itself, knowing how far its transaction got; one that is interrupted does not.
        if (Option.isSome(yield* within("giveUp", Fiber.await(worker)))) return
        yield* Fiber.interruptFork(worker)
        yield* within("interrupt", Fiber.await(worker))
      })

      /** Finds out what became of rows whose COMMIT was not answered; the number of those that remain in doubt. */
      const settleDoubts = Effect.gen(function* () {
        const rows = [...buffer.parked(), ...buffer.inFlight()].flatMap((piece) => (piece.certain ? [] : piece.rows))
        if (rows.length === 0) return 0
        const ids = rows.map((row) => row.id)
        const found = yield* Effect.option(Effect.flatten(within("locate", store.locate(incarnation, ids))))
        if (Option.isNone(found)) return rows.length
        const { committed, deadLettered } = found.value
        buffer.dropSettled((row) => committed.has(row.id) || deadLettered.has(row.id))
        yield* progress.settled({ committed: committed.size, deadLettered: deadLettered.size })
        return 0
      })

      const isSaid = () => recorder.shedRange() === undefined

      /** A disk that hangs holds nobody up: then the journal is as that of a process that was killed. */
      const endJournal = (remove: boolean) =>
        journal === undefined ? Effect.void : within("signOff", journal.end({ remove }))

      /** Nothing is lost: whoever starts next with this home writes it. */
      const keep = Effect.gen(function* () {
        yield* Effect.logWarning(
          `${buffer.depth()} audit events are not in the database yet and stay in the journal ${journal?.path}: the next start ` +
            "with this GRAVITAS_HOME writes them. Keep that directory."
        )
        yield* endJournal(false)
      })

      /** Before the sign-off: if that hangs, the counts are known all the same. */
      const tell = Effect.fnUntraced(function* (unwritten: number, inDoubt: number) {
        const which = `(source ${incarnation.source}, up to number ${recorder.counts().lastSeq})`
        if (unwritten > 0) {
          yield* Effect.logError(
            `${unwritten} audit events were answered and are NOT in the database ${which}: ` +
              "it did not take them before the shutdown deadline."
          )
        }
        if (inDoubt > 0) {
          yield* Effect.logError(
            `${inDoubt} audit events were answered and are IN DOUBT ${which}: they were sent, the database did not confirm ` +
              "them before the shutdown deadline. Look for their numbers in gatekeeper.audit_log."
          )
        }
        if (unwritten + inDoubt > 0) yield* options.onUnwritten(unwritten + inDoubt)
      })

      yield* Fiber.interruptFork(upkeep)
      // Nobody records any more, so there is room for it as soon as the database takes anything.
      yield* within(
        "receipt",
        Effect.zipRight(
          Effect.repeat(losses.receiptShed, { schedule: Schedule.spaced("20 millis"), until: isSaid }),
          lossWatch.settleLast
        )
      )
      yield* buffer.close
      if (Option.isNone(yield* within("flush", Fiber.await(worker)))) yield* giveUp
      const inDoubt = yield* settleDoubts
      const counts = recorder.counts()
      journal?.note(counts)
      if (options.keeps && buffer.depth() > 0) {
        // Whoever takes the journal over signs off.
        yield* keep
      } else if (journal !== undefined && !isSaid()) {
        // Whoever finds what this process counted writes the receipt.
        yield* tell(buffer.depth() - inDoubt, inDoubt)
        yield* endJournal(false)
      } else {
        const unwritten = buffer.depth() - inDoubt
        yield* tell(unwritten, inDoubt)
        const signedOff = store.signOff(incarnation, {
          lastSeq: counts.lastSeq,
          shed: counts.shed,
          refused: counts.refused,
          unwritten,
          inDoubt,
          quarantined: lossWatch.quarantined()
        })
        const isSignedOff = yield* Effect.flatten(within("signOff", signedOff)).pipe(
          Effect.as(true),
          Effect.catchAll((error) =>
            Effect.as(
              Effect.logWarning(
                `The audit trail could not be signed off: ${error._tag === "DatabaseError" ? error.message : "no answer in time"}; ` +
                  "its tail counts as unknown."
              ),
              false
            )
          )
        )
        yield* endJournal(isSignedOff)
      }
      yield* progress.stopped
    })
  )
