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
  readonly problem: {
    readonly reason: JournalProblem["reason"] | "hanging"
    readonly detail: string
    readonly since: number
  } | null
  /** Why it cannot be read now. */
  readonly readProblem: Problem
  /** Damaged spans that were copied to the quarantine. */
  readonly quarantined: number
}

type Since = JournalProblem & { readonly since: number }

type ProblemPlace = "append" | "sync" | "place"

/** The current problems of a journal, by the operation that failed. A problem whose text changes keeps the time when it began. */
export const trackProblems = (now: () => number) => {
  let append: Since | undefined
  let sync: Since | undefined
  let place: Since | undefined
  const renew = (before: Since | undefined, problem: JournalProblem): Since => ({
    ...problem,
    since: before?.since ?? now()
  })
  return {
    set: (where: ProblemPlace, problem: JournalProblem | undefined) => {
      // This runs for each appended event, almost always without a problem.
      if (problem === undefined) {
        if (where === "append") append = undefined
        else if (where === "sync") sync = undefined
        else place = undefined
      } else if (where === "append") append = renew(append, problem)
      else if (where === "sync") sync = renew(sync, problem)
      else place = renew(place, problem)
    },
    get: (where: ProblemPlace): JournalProblem | undefined =>
      where === "append" ? append : where === "sync" ? sync : place,
    current: () => place ?? append ?? sync ?? null
  }
}

export type ProblemTracker = ReturnType<typeof trackProblems>

/** A condition that lasts: what is wrong, and since when (milliseconds since the epoch). Null while all is well. */
export type Problem = { readonly detail: string; readonly since: number } | null

/** The last line about a problem, and when it was logged. */
export interface Logged {
  readonly problem: NonNullable<Problem>
  readonly at: number
}

const reminderInterval = Duration.toMillis("1 minute")

/** Decides what to log now: the start of a problem, a reminder each minute, or its end. */
export const nextLine = (problem: Problem, logged: Logged | undefined, now: number): "lasts" | "over" | undefined => {
  if (problem === null) return logged === undefined ? undefined : "over"
  return logged === undefined || now - logged.at >= reminderInterval ? "lasts" : undefined
}

/** Logs a problem that `read` returns, for as long as it lasts. Looks once a second. */
export const watchProblem = (
  read: () => Problem,
  text: { readonly lasts: (problem: NonNullable<Problem>) => string; readonly over: string }
): Effect.Effect<never> =>
  Effect.suspend(() => {
    let logged: Logged | undefined
    const look = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const problem = read()
      const line = nextLine(problem, logged, now)
      if (line === undefined) return
      logged = problem === null ? undefined : { problem, at: now }
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
