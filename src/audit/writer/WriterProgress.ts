import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** What a batch writer does now. `since` is in milliseconds since the epoch. */
type DrainState =
  | { readonly _tag: "idle" | "draining" | "stopped" }
  /**
   * - `retrying`: the database is away or busy; the writer retries by itself.
   * - `paused`: the set-up is wrong (role, schema, another trail): nothing is lost, but an operator must fix it.
   * - `dead`: the fiber died of a defect and will restart.
   */
  | { readonly _tag: "retrying" | "paused" | "dead"; readonly reason: string; readonly since: number }

const reminderInterval = Duration.toMillis("1 minute")

const logTrouble = {
  retrying: (reason: string, waiting: string) =>
    Effect.logWarning(`The audit trail cannot be written, trying again: ${reason}; ${waiting}.`),
  paused: (reason: string, waiting: string) =>
    Effect.logError(
      `The audit trail is paused: ${reason}; ${waiting}. Fix the role or the schema of the gatekeeper's database; the writer ` +
        "resumes by itself."
    ),
  dead: (reason: string, waiting: string) =>
    Effect.logError(`The audit writer died and is started again: ${reason}; ${waiting}.`)
}

/** The state of the batch writer. It is logged when it changes, and each minute while a problem lasts. */
export const make = ({ depth, shed }: { readonly depth: () => number; readonly shed: () => number }) => {
  let state: DrainState = { _tag: "idle" }
  let committed = 0
  let deadLettered = 0
  let restarts = 0
  let loggedAt = Number.NEGATIVE_INFINITY

  return {
    state: (): DrainState => state,
    committed: () => committed,
    deadLettered: () => deadLettered,
    restarts: () => restarts,
    working: Effect.sync(() => {
      if (state._tag === "idle") state = { _tag: "draining" }
    }),
    trouble: Effect.fnUntraced(function* (kind: keyof typeof logTrouble, reason: string) {
      const now = yield* Clock.currentTimeMillis
      const changed = state._tag !== kind
      state = { _tag: kind, reason, since: "since" in state && !changed ? state.since : now }
      if (kind === "dead") restarts += 1
      if (!changed && now - loggedAt < reminderInterval) return
      loggedAt = now
      const lost =
        shed() === 0 ? "none is lost" : `${shed()} were answered without a record since the start (AUDIT_ON_FULL=shed)`
      yield* logTrouble[kind](reason, `${depth()} events wait, ${lost}`)
    }),
    settled: Effect.fnUntraced(function* (rows: { readonly committed: number; readonly deadLettered: number }) {
      committed += rows.committed
      deadLettered += rows.deadLettered
      const recovered = "since" in state
      state = { _tag: depth() === 0 ? "idle" : "draining" }
      if (recovered) yield* Effect.logInfo(`The audit trail is written again; ${depth()} events wait.`)
    }),
    stopped: Effect.sync(() => {
      state = { _tag: "stopped" }
    })
  }
}

export type WriterProgress = ReturnType<typeof make>
