import type { AuditCounters } from "../contracts/AuditStatus.ts"
import type { Counts } from "./journal/CheckpointFile.ts"
import type { JournalStatus, Problem } from "./journal/JournalStatus.ts"

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
    readonly counts: Counts
    readonly state: DrainState
    readonly readProblem: Problem
  } | null
  /** Journals recovered and removed since the start of this process. */
  readonly adopted: number
}

export interface JournalState extends JournalStatus {
  readonly path: string
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

const journalView = ({ others, ...journal }: JournalState) => ({
  path: journal.path,
  bytes: journal.bytes,
  max_bytes: journal.maxBytes,
  segments: journal.segments,
  problem: journal.problem?.detail ?? null,
  read_problem: journal.readProblem?.detail ?? null,
  quarantined: journal.quarantined,
  others: {
    alive: others.alive,
    adopted: others.adopted,
    foreign: others.foreign,
    stuck: others.stuck,
    adopting:
      others.adopting === null
        ? null
        : {
            source: others.adopting.source,
            pending: others.adopting.pending,
            read_problem: others.adopting.readProblem?.detail ?? null
          }
  }
})

/** The trail's part of `/health`, `/readyz` and `/audit/pipeline`. */
export const auditView = (now: AuditStatus) => ({
  mode: now.mode,
  source: now.source,
  accepting: now.accepting,
  drain: now.drain._tag,
  drain_problem: "reason" in now.drain ? now.drain.reason : null,
  depth: now.depth,
  in_journal_only: now.beyond,
  capacity: now.capacity,
  aside: now.aside,
  oldest_age_ms: now.oldestPendingMillis,
  restarts: now.restarts,
  counters: { ...now.counters },
  journal: now.journal === null ? null : journalView(now.journal)
})
