import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as ProblemLog from "./ProblemLog.ts"

/** A sync that has not returned. Times are in milliseconds since the epoch. */
export interface HungSync {
  readonly detail: string
  readonly since: number
}

/** Tells a slow disk from one that hangs. */
export interface SyncWatchdog {
  /** Counts the disk as busy until the promise settles. */
  readonly during: <A>(work: () => Promise<A>) => Promise<A>
  /** Null while the disk answers in time. */
  readonly hanging: () => HungSync | null
}

/** A sync hangs after three flush intervals, but never before three seconds, because disks pause. */
const patience = { intervals: 3, least: Duration.seconds(3) } as const

export const make = (options: {
  readonly now: () => number
  readonly flushInterval: Duration.DurationInput
  /** The journal's directory. */
  readonly path: string
}): SyncWatchdog => {
  const { now, path } = options
  const longest = Duration.toMillis(
    Duration.max(Duration.times(options.flushInterval, patience.intervals), patience.least)
  )
  let since: number | undefined
  return {
    during: (work) => {
      since = now()
      return work().finally(() => {
        since = undefined
      })
    },
    hanging: () =>
      since === undefined || now() - since < longest
        ? null
        : {
            detail: `the disk has not completed a sync since ${new Date(since).toISOString()} (${path})`,
            since
          }
  }
}

/** Logs when events are accepted but do not reach the disk. */
export const watch = (read: () => HungSync | null): Effect.Effect<never> =>
  ProblemLog.watch(read, {
    lasts: ({ detail }) =>
      `The audit journal's events are not on the disk: ${detail}. They survive the end of this process, but not that of the ` +
      "machine. Answers that wait for the disk (AUDIT_DURABILITY=fsync) are refused. Fix the disk of GRAVITAS_HOME; the process " +
      "recovers by itself.",
    over: "The audit journal's disk answers again."
  })
