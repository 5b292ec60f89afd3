/** Why a journal does not take an event, or cannot say that it is on the disk. */
export interface JournalProblem {
  /** `full`: the bound on its size is reached; `failing`: the disk does not take it. */
  readonly reason: "full" | "failing"
  /** What happened where, with the system's own words. */
  readonly detail: string
}
