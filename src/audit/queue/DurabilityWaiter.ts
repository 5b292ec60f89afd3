import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { AuditLogOptions } from "../AuditSettings.ts"
import type { Journal } from "../journal/Journal.ts"
import { ProcessJournal } from "../store/ProcessJournal.ts"

/** An answer waited for its event to be safe, and got no confirmation in time. The outcome of the event is unknown. */
class Unconfirmed extends Schema.TaggedError<Unconfirmed>()("Unconfirmed", { reason: Schema.String }) {}

/**
 * Whether an answer that would wait for the database is refused at once, because the rows before it are too old. The limit is
 * half of the deadline: with the whole of it, most answers of a slow database would come just too late.
 */
export const isBehind = (oldestInLine: number | undefined, now: number, deadline: Duration.DurationInput): boolean =>
  oldestInLine !== undefined && now - oldestInLine > Duration.toMillis(deadline) / 2

/** Lets answers wait for the disk (mode `fsync`) or for the database (mode `commit`). */
export const make = (options: { readonly journal: Journal | undefined; readonly deadline: Duration.DurationInput }) => {
  const waiters = new Map<number, () => void>()
  const within = Duration.format(options.deadline)

  const inTime = (what: string) =>
    Effect.timeoutFail({
      duration: options.deadline,
      onTimeout: () => new Unconfirmed({ reason: `${what} did not confirm the event within ${within}` })
    })

  return {
    /** Completes when all events appended so far are on the disk. */
    synced: Effect.async<void, Unconfirmed>((resume) => {
      const { journal } = options
      if (journal === undefined) return resume(Effect.fail(new Unconfirmed({ reason: "there is no journal" })))
      journal.whenSynced((problem) =>
        resume(problem === undefined ? Effect.void : Effect.fail(new Unconfirmed({ reason: problem.detail })))
      )
    }).pipe(inTime("the journal's disk")),
    /**
     * Completes when the event is in the database, in the table or among the dead letters. `isSettled` tells whether it was
     * settled before the wait began.
     */
    committed: (seq: number, isSettled: () => boolean) =>
      Effect.async<void>((resume) => {
        if (isSettled()) return resume(Effect.void)
        waiters.set(seq, () => resume(Effect.void))
        return Effect.sync(() => waiters.delete(seq))
      }).pipe(inTime("the database")),
    /** Releases the answers that wait for these rows. */
    settled: (rows: ReadonlyArray<{ readonly seq: number }>) => {
      if (waiters.size === 0) return
      for (const { seq } of rows) {
        const done = waiters.get(seq)
        if (done === undefined) continue
        waiters.delete(seq)
        done()
      }
    }
  }
}

export type DurabilityWaiter = ReturnType<typeof make>

export const DurabilityWaiter = Context.GenericTag<DurabilityWaiter>("audit/queue/DurabilityWaiter")

export const layer = (options: AuditLogOptions): Layer.Layer<DurabilityWaiter, never, ProcessJournal> =>
  Layer.effect(
    DurabilityWaiter,
    Effect.map(ProcessJournal, ({ eventJournal }) => make({ journal: eventJournal, deadline: options.commitDeadline }))
  )
