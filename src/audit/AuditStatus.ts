import type { AuditCounters } from "../contracts/AuditStatus.ts"
import type { Problem } from "./journal/ProblemLog.ts"

/** What a batch writer does now. `since` is in milliseconds since the epoch. */
export type DrainState =
  | { readonly _tag: "idle" }
  | { readonly _tag: "draining" }
  /** The database is away or busy; the writer retries by itself. */
  | { readonly _tag: "retrying"; readonly reason: string; readonly since: number }
  /** The set-up is wrong (role, schema, another trail): nothing is lost, but an operator must fix it. */
  | { readonly _tag: "paused"; readonly reason: string; readonly since: number }
  /** The fiber died of a defect and will restart. */
  | { readonly _tag: "dead"; readonly reason: string; readonly since: number }
  /** After the shutdown. */
  | { readonly _tag: "stopped" }

/** The journals of other processes in the same directory. */
export interface OtherJournals {
  /** Journals of living processes. */
  readonly alive: number
  /** Journals of another trail: never read, never removed. */
  readonly foreign: ReadonlyArray<{ readonly path: string; readonly trail: string }>
  /** Journals that could not be recovered so far, and why. */
  readonly stuck: ReadonlyArray<{ readonly path: string; readonly reason: string }>
  /** The journal that is being recovered. */
  readonly adopting: {
    readonly source: string
    readonly pending: number
    /** The counts of its process. */
    readonly counts: { readonly lastSeq: number; readonly refused: number; readonly shed: number }
    readonly state: DrainState
    readonly readProblem: Problem
  } | null
  /** Journals recovered and removed since the start of this process. */
  readonly adopted: number
}

export interface JournalState {
  readonly path: string
  readonly bytes: number
  readonly maxBytes: number
  readonly segments: number
  /** Why it accepts nothing now; `hanging`: it accepts events, but a sync does not return. */
  readonly problem: { readonly reason: string; readonly detail: string; readonly since: number } | null
  /** Why it cannot be read now: events that do not fit into memory wait for that. */
  readonly readProblem: Problem
  /** Damaged spans that were copied to the quarantine. */
  readonly quarantined: number
  readonly others: OtherJournals
}

/** The state of the pipeline into the database, for `/health`, `/readyz` and metrics. */
export interface AuditStatus {
  /** The durability, with its exceptions by result. */
  readonly mode: string
  /** This process's incarnation, a uuid. */
  readonly source: string
  /** The trail that the events belong to, a uuid; null where nothing is kept on disk. */
  readonly trail: string | null
  readonly accepting: boolean
  /** Events that wait for their COMMIT, those in flight included. */
  readonly depth: number
  /** Of `depth`: events that are only in the journal, because the memory is full. */
  readonly beyond: number
  /** The maximum of events in memory. */
  readonly capacity: number
  /** Of `depth`: parked events, which could not be settled so far and are tried again; later events pass them. */
  readonly aside: number
  /** Characters of canonical JSON in memory. */
  readonly pendingSize: number
  /** Milliseconds since the oldest waiting event was recorded; null when none waits. */
  readonly oldestPendingMillis: number | null
  readonly counters: AuditCounters
  readonly drain: DrainState
  /** How often the writer died of a defect and was restarted. */
  readonly restarts: number
  /** Null where nothing is kept on disk. */
  readonly journal: JournalState | null
}
