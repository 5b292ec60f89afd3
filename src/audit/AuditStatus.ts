import type { AuditCounters } from "../contracts/AuditStatus.ts"
import type { Problem } from "./journal/ProblemLog.ts"

/** What a drain does at this moment. `since` is in milliseconds since the epoch. */
export type DrainState =
  | { readonly _tag: "idle" }
  | { readonly _tag: "draining" }
  /** The database is away or busy; the drain tries again by itself. */
  | { readonly _tag: "retrying"; readonly reason: string; readonly since: number }
  /** The set-up is wrong (role, schema, another trail): nothing is lost, but somebody has to mend it. */
  | { readonly _tag: "paused"; readonly reason: string; readonly since: number }
  /** The fiber died of a defect and is about to be started again. */
  | { readonly _tag: "dead"; readonly reason: string; readonly since: number }
  /** After the shutdown. */
  | { readonly _tag: "stopped" }

/** Journals that dead processes left in the same place. */
export interface OtherJournals {
  /** Of living processes. */
  readonly alive: number
  /** Of another trail: never read, never removed. */
  readonly foreign: ReadonlyArray<{ readonly path: string; readonly trail: string }>
  /** Which could not be taken over so far, and why. */
  readonly stuck: ReadonlyArray<{ readonly path: string; readonly reason: string }>
  /** The one that is being written to the database. */
  readonly adopting: {
    readonly source: string
    readonly pending: number
    /** What its process had counted. */
    readonly counts: { readonly lastSeq: number; readonly refused: number; readonly shed: number }
    readonly state: DrainState
    readonly readProblem: Problem
  } | null
  /** Taken over and removed, since the start of this process. */
  readonly adopted: number
}

export interface JournalState {
  readonly path: string
  readonly bytes: number
  readonly maxBytes: number
  readonly segments: number
  /** Why it takes nothing now; `hanging`: it takes events, and its disk answers no write-through. */
  readonly problem: { readonly reason: string; readonly detail: string; readonly since: number } | null
  /** Why it cannot be read back now: what the memory has no room for waits for that. */
  readonly readProblem: Problem
  /** Damaged spans that were put aside. */
  readonly quarantined: number
  readonly others: OtherJournals
}

/** The state of the trail's way into the database, for `/health`, `/readyz` and metrics. */
export interface AuditStatus {
  /** The durability, with its exceptions by result. */
  readonly mode: string
  /** This process's incarnation, a uuid. */
  readonly source: string
  /** The trail that the events belong to, a uuid; null where nothing is kept on disk. */
  readonly trail: string | null
  readonly accepting: boolean
  /** Events that wait for their COMMIT, those in the drain's hands included. */
  readonly depth: number
  /** Of `depth`: those that are in the journal only, since the memory is full. */
  readonly beyond: number
  /** Events that the memory takes. */
  readonly capacity: number
  /** Of `depth`: events that could be settled in no way so far; the others pass them, and they are tried again. */
  readonly aside: number
  /** Characters of canonical JSON in memory. */
  readonly pendingSize: number
  /** Milliseconds since the oldest waiting event was recorded; null when none waits. */
  readonly oldestPendingMillis: number | null
  readonly counters: AuditCounters
  readonly drain: DrainState
  /** How often the drain died of a defect and was started again. */
  readonly restarts: number
  /** Null where nothing is kept on disk. */
  readonly journal: JournalState | null
}
