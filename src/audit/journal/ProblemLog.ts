import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

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
export const watch = (
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
  watch(read, {
    lasts: ({ detail, since }) =>
      `An audit journal cannot be read since ${new Date(since).toISOString()}: ${detail}. The events that did not fit into ` +
      "memory wait in it, and so do later events. Fix the disk of GRAVITAS_HOME; the process retries by itself.",
    over: "The audit journals can be read again."
  })
