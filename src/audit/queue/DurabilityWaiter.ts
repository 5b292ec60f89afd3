import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Journal } from "../journal/Journal.ts"
import type { Refusal } from "./Recorder.ts"

/** An answer was to wait until its event is safe, and nobody said so in time. The event is in the journal; its outcome is unknown. */
export class Unconfirmed extends Schema.TaggedError<Unconfirmed>()("Unconfirmed", {
  reason: Schema.String
}) {
  override get message(): string {
    return this.reason
  }
}

/** What answers wait for in the modes `fsync` and `commit`. */
export interface DurabilityWaiter {
  /** Completes when all that was appended so far is on the disk. */
  readonly synced: Effect.Effect<void, Unconfirmed>
  /** Completes when the event is in the database, table or dead letters; `isSettled`: it was so before the wait began. */
  readonly committed: (seq: number, isSettled: () => boolean) => Effect.Effect<void, Unconfirmed>
  /** Events that are in the database now. */
  readonly settled: (rows: ReadonlyArray<{ readonly seq: number }>) => void
  /** Answers that wait for the database. */
  readonly waiting: () => number
}

/**
 * Whether an answer that waits for the database is better refused at once, since what waits before it is too old. Half of the
 * deadline: taken up to the whole of it, most answers would come a moment too late, and a database that is merely slow would
 * answer none at all.
 */
export const isBehind = (oldestInLine: number | undefined, now: number, deadline: Duration.DurationInput): boolean =>
  oldestInLine !== undefined && now - oldestInLine > Duration.toMillis(deadline) / 2

export const databaseBehind: Refusal = {
  reason: "behind",
  detail: "what waits for the database is older than answers may wait. Check that PostgreSQL answers, and keeps up"
}

export const diskBehind = (detail: string): Refusal => ({
  reason: "behind",
  detail: `${detail}. Mend the disk of GRAVITAS_HOME; the process goes on by itself`
})

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
