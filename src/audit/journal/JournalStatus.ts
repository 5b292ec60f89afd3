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
  readonly readProblem: { readonly detail: string; readonly since: number } | null
  /** Damaged spans that were copied to the quarantine. */
  readonly quarantined: number
}

type Since = JournalProblem & { readonly since: number }

/** The current problems of a journal, by the operation that failed. */
export interface ProblemTracker {
  readonly set: (where: "append" | "sync" | "place", problem: JournalProblem | undefined) => void
  readonly get: (where: "append" | "sync" | "place") => JournalProblem | undefined
  readonly current: () => Since | null
}

/** A problem whose text changes keeps the time when it began. */
export const trackProblems = (now: () => number): ProblemTracker => {
  let append: Since | undefined
  let sync: Since | undefined
  let place: Since | undefined
  const renew = (before: Since | undefined, problem: JournalProblem): Since => ({
    ...problem,
    since: before?.since ?? now()
  })
  return {
    set: (where, problem) => {
      // This runs for each appended event, almost always without a problem.
      if (problem === undefined) {
        if (where === "append") append = undefined
        else if (where === "sync") sync = undefined
        else place = undefined
      } else if (where === "append") append = renew(append, problem)
      else if (where === "sync") sync = renew(sync, problem)
      else place = renew(place, problem)
    },
    get: (where) => (where === "append" ? append : where === "sync" ? sync : place),
    current: () => place ?? append ?? sync ?? null
  }
}
