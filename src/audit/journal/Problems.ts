import type { JournalProblem } from "./JournalProblem.ts"

type Since = JournalProblem & { readonly since: number }

/** What is wrong with a journal at this moment, by what was being done. */
export interface Problems {
  readonly set: (where: "append" | "sync" | "place", problem: JournalProblem | undefined) => void
  readonly get: (where: "append" | "sync" | "place") => JournalProblem | undefined
  readonly current: () => Since | null
}

/** A problem that changes its words keeps the moment when it began. */
export const make = (now: () => number): Problems => {
  let append: Since | undefined
  let sync: Since | undefined
  let place: Since | undefined
  const renew = (before: Since | undefined, problem: JournalProblem): Since => ({
    ...problem,
    since: before?.since ?? now()
  })
  return {
    set: (where, problem) => {
      // For each event that is appended: nothing to do in all but a few cases.
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
