import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { AuditLogOptions } from "../AuditLogOptions.ts"
import type { Journal } from "../journal/Journal.ts"
import { ProcessJournal } from "../store/ProcessJournal.ts"

/** An answer waited for its event to be safe, and got no confirmation in time. The outcome of the event is unknown. */
export class Unconfirmed extends Schema.TaggedError<Unconfirmed>()("Unconfirmed", {
  reason: Schema.String
}) {
  override get message(): string {
    return this.reason
  }
}

/** Lets answers wait for the disk (mode `fsync`) or for the database (mode `commit`). */
export interface DurabilityWaiter {
  /** Completes when all events appended so far are on the disk. */
  readonly synced: Effect.Effect<void, Unconfirmed>
  /**
   * Completes when the event is in the database, in the table or among the dead letters. `isSettled` tells whether it was
   * settled before the wait began.
   */
  readonly committed: (seq: number, isSettled: () => boolean) => Effect.Effect<void, Unconfirmed>
  /** Releases the answers that wait for these rows. */
  readonly settled: (rows: ReadonlyArray<{ readonly seq: number }>) => void
  /** Answers that wait for the database. */
  readonly waiting: () => number
}

export const DurabilityWaiter = Context.GenericTag<DurabilityWaiter>("audit/queue/DurabilityWaiter")

/**
 * Whether an answer that would wait for the database is refused at once, because the rows before it are too old. The limit is
 * half of the deadline: with the whole of it, most answers of a slow database would come just too late.
 */
export const isBehind = (oldestInLine: number | undefined, now: number, deadline: Duration.DurationInput): boolean =>
  oldestInLine !== undefined && now - oldestInLine > Duration.toMillis(deadline) / 2

export const make = (options: {
  readonly journal: Journal | undefined
  readonly deadline: Duration.DurationInput
}): DurabilityWaiter => {
  const waiters = new Map<number, () => void>()
  const within = Duration.format(options.deadline)

  const inTime = (what: string) =>
    Effect.timeoutFail({
      duration: options.deadline,
      onTimeout: () => new Unconfirmed({ reason: `${what} did not confirm the event within ${within}` })
    })

  return {
    synced: Effect.async<void, Unconfirmed>((resume) => {
      const { journal } = options
      if (journal === undefined) return resume(Effect.fail(new Unconfirmed({ reason: "there is no journal" })))
      journal.whenSynced((problem) =>
        resume(problem === undefined ? Effect.void : Effect.fail(new Unconfirmed({ reason: problem.detail })))
      )
    }).pipe(inTime("the journal's disk")),
    committed: (seq, isSettled) =>
      Effect.async<void>((resume) => {
        if (isSettled()) return resume(Effect.void)
        waiters.set(seq, () => resume(Effect.void))
        return Effect.sync(() => waiters.delete(seq))
      }).pipe(inTime("the database")),
    settled: (rows) => {
      if (waiters.size === 0) return
      for (const { seq } of rows) {
        const done = waiters.get(seq)
        if (done === undefined) continue
        waiters.delete(seq)
        done()
      }
    },
    waiting: () => waiters.size
  }
}

export const layer = (options: AuditLogOptions): Layer.Layer<DurabilityWaiter, never, ProcessJournal> =>
  Layer.effect(
    DurabilityWaiter,
    Effect.map(ProcessJournal, ({ eventJournal }) => make({ journal: eventJournal, deadline: options.commitDeadline }))
  )
