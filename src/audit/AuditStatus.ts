/** What the drain does at this moment. `since` is in milliseconds since the epoch. */
export type DrainState =
  | { readonly _tag: "idle" }
  | { readonly _tag: "draining" }
  /** The database is away or busy; the drain tries again by itself. */
  | { readonly _tag: "retrying"; readonly reason: string; readonly since: number }
  /** The set-up is wrong (role, schema): nothing is lost, but somebody has to mend it. */
  | { readonly _tag: "paused"; readonly reason: string; readonly since: number }
  /** The fiber died of a defect and is about to be started again. */
  | { readonly _tag: "dead"; readonly reason: string; readonly since: number }
  /** After the shutdown. */
  | { readonly _tag: "stopped" }

/** Since the start of this process. At every moment `offered = committed + deadLettered + refused + shed + depth`. */
export interface AuditCounters {
  /** Calls of `record`. */
  readonly offered: number
  /** In `audit_log`. */
  readonly committed: number
  /** In `audit_dead_letter`. */
  readonly deadLettered: number
  /** Answered with `AuditUnavailable`. */
  readonly refused: number
  /** Answered with an id, but never to be written. */
  readonly shed: number
}

/** The state of the trail's way into the database, for `/health`, `/readyz` and metrics. */
export interface AuditStatus {
  readonly mode: "memory"
  /** This process's incarnation, a uuid. */
  readonly source: string
  readonly accepting: boolean
  /** Events that wait for their COMMIT, those in the drain's hands included. */
  readonly depth: number
  /** Of `depth`. */
  readonly capacity: number
  /** Of `depth`: events that could be settled in no way so far; the others pass them, and they are tried again. */
  readonly aside: number
  /** Characters of canonical JSON that wait. */
  readonly pendingSize: number
  /** Milliseconds since the oldest waiting event was recorded; null when none waits. */
  readonly oldestPendingMillis: number | null
  readonly counters: AuditCounters
  readonly drain: DrainState
  /** How often the drain died of a defect and was started again. */
  readonly restarts: number
}
