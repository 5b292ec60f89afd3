import * as Duration from "effect/Duration"

/** A write-through that has not come back. Times are in milliseconds since the epoch. */
export interface Hanging {
  readonly detail: string
  readonly since: number
}

/** Tells a disk that is slow from one that hangs. */
export interface SlowDisk {
  /** The disk is at work until the promise is done. */
  readonly during: <A>(work: () => Promise<A>) => Promise<A>
  /** Null while the disk answers in good time. */
  readonly hanging: () => Hanging | null
}

/** So many flush intervals are waited for, and never less than so long: disks pause. */
const patience = { intervals: 3, least: Duration.seconds(3) } as const

export const make = (options: {
  readonly now: () => number
  readonly flushInterval: Duration.DurationInput
  /** The journal's directory. */
  readonly path: string
}): SlowDisk => {
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
            detail: `the disk has answered no write-through since ${new Date(since).toISOString()} (${path})`,
            since
          }
  }
}
