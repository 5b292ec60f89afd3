import type { JournalProblem } from "./JournalStatus.ts"

/** Many who wait, one write-through: who asks while one is under way is served by the next. */
export interface GroupCommit {
  readonly request: (done: (problem?: JournalProblem) => void) => void
}

/** `sync` writes through all that was appended when it is called, and never fails but with a problem as its result. */
export const make = (sync: () => Promise<JournalProblem | undefined>): GroupCommit => {
  let waiting: Array<(problem?: JournalProblem) => void> = []
  let running = false

  const run = () => {
    const served = waiting
    waiting = []
    const answer = (problem: JournalProblem | undefined) => {
      for (const done of served) done(problem)
      running = waiting.length > 0
      if (running) run()
    }
    sync().then(answer, (cause: unknown) => answer({ reason: "failing", detail: String(cause) }))
  }

  return {
    request: (done) => {
      waiting.push(done)
      if (running) return
      running = true
      // After the other requests of this turn: their events are covered by the same write-through.
      setImmediate(run)
    }
  }
}
