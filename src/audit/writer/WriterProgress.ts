import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { DrainState } from "../AuditStatus.ts"

/** The state of the batch writer. It is logged when it changes, and each minute while a problem lasts. */
export interface WriterProgress {
  readonly state: () => DrainState
  readonly committed: () => number
  readonly deadLettered: () => number
  readonly restarts: () => number
  readonly working: Effect.Effect<void>
  readonly trouble: (kind: "retrying" | "paused" | "dead", reason: string) => Effect.Effect<void>
  readonly settled: (rows: { readonly committed: number; readonly deadLettered: number }) => Effect.Effect<void>
  readonly stopped: Effect.Effect<void>
}

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

export const make = (counts: { readonly depth: () => number; readonly shed: () => number }): WriterProgress => {
  const { depth, shed } = counts
  let state: DrainState = { _tag: "idle" }
  let committed = 0
  let deadLettered = 0
  let restarts = 0
  let loggedAt = Number.NEGATIVE_INFINITY

  return {
    state: () => state,
    committed: () => committed,
    deadLettered: () => deadLettered,
    restarts: () => restarts,
    working: Effect.sync(() => {
      if (state._tag === "idle") state = { _tag: "draining" }
    }),
    trouble: Effect.fnUntraced(function* (kind, reason) {
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
    settled: Effect.fnUntraced(function* (rows) {
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
