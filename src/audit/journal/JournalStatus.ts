import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

/** Why a journal does not accept an event, or cannot confirm that the event is on the disk. */
export interface JournalProblem {
  /** `full`: the journal's quota is used up; `failing`: the disk reports an error. */
  readonly reason: "full" | "failing"
  /** What failed and where, with the system's error text. */
  readonly detail: string
}

/** The state of a journal. Times are in milliseconds since the epoch. */
export interface JournalStatus {
  /** Bytes of all journals that share its quota. */
  readonly bytes: number
  readonly maxBytes: number
  readonly segments: number
  /** Records that are not settled. */
  readonly pendingFrames: number
  /** The last number known; 0 before the first. */
  readonly lastSeq: number
  /** Every event up to this number is settled. */
  readonly acknowledged: number
  /** Bytes that may not be on the disk yet. */
  readonly unsyncedBytes: number
  /** Why it accepts nothing now, or cannot sync; `hanging`: it accepts events, but a sync does not return. */
  readonly problem: (NonNullable<Problem> & { readonly reason: JournalProblem["reason"] | "hanging" }) | null
  /** Why it cannot be read now. */
  readonly readProblem: Problem
  /** Damaged spans that were copied to the quarantine. */
  readonly quarantined: number
}

type Since = JournalProblem & { readonly since: number }

type ProblemPlace = "append" | "sync" | "place"

/** The current problems of a journal, by the operation that failed. A problem whose text changes keeps the time when it began. */
export const trackProblems = (now: () => number) => {
  const problems: Record<ProblemPlace, Since | undefined> = { append: undefined, sync: undefined, place: undefined }
  return {
    /** Runs for each appended event, almost always without a problem. */
    set: (where: ProblemPlace, problem: JournalProblem | undefined) => {
      problems[where] = problem && { ...problem, since: problems[where]?.since ?? now() }
    },
    get: (where: ProblemPlace): JournalProblem | undefined => problems[where],
    current: () => problems.place ?? problems.append ?? problems.sync ?? null
  }
}

export type ProblemTracker = ReturnType<typeof trackProblems>

/** A condition that lasts: what is wrong, and since when (milliseconds since the epoch). Null while all is well. */
export type Problem = { readonly detail: string; readonly since: number } | null

const reminderInterval = Duration.toMillis("1 minute")

/** Whether to log now: the start of a problem, a reminder each minute, or its end. `loggedAt` is the last time, in milliseconds. */
export const isLogDue = (problem: Problem, loggedAt: number | undefined, now: number): boolean =>
  problem === null ? loggedAt !== undefined : loggedAt === undefined || now - loggedAt >= reminderInterval

/** Logs a problem that `read` returns, for as long as it lasts. Looks once a second. */
export const watchProblem = (
  read: () => Problem,
  text: { readonly lasts: (problem: NonNullable<Problem>) => string; readonly over: string }
): Effect.Effect<never> =>
  Effect.suspend(() => {
    let loggedAt: number | undefined
    const look = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const problem = read()
      if (!isLogDue(problem, loggedAt, now)) return
      loggedAt = problem === null ? undefined : now
      yield* problem === null ? Effect.logInfo(text.over) : Effect.logError(text.lasts(problem))
    })
    return Effect.zipRight(Effect.repeat(look, Schedule.spaced("1 second")), Effect.never)
  })

/** Logs when a journal cannot be read: the events that exceeded the queue's memory are in no other place. */
export const watchReading = (read: () => Problem): Effect.Effect<never> =>
  watchProblem(read, {
    lasts: ({ detail, since }) =>
      `An audit journal cannot be read since ${new Date(since).toISOString()}: ${detail}. The events that did not fit into ` +
      "memory wait in it, and so do later events. Fix the disk of GRAVITAS_HOME; the process retries by itself.",
    over: "The audit journals can be read again."
  })
