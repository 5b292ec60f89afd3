import type { JournalProblem } from "./JournalStatus.ts"

/** One sync for many requests: a request during a sync is served by the next sync. */
export interface GroupCommit {
  readonly request: (done: (problem?: JournalProblem) => void) => void
}

/** `sync` covers everything appended before the call. It reports a failure as its result and never rejects. */
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
      // Runs after the other requests of this turn, so that one sync covers their events too.
      setImmediate(run)
    }
  }
}
