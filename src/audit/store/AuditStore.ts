import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import type { AuditId } from "../encoding/AuditId.ts"
import type { HashedRow } from "../encoding/AuditRow.ts"

/**
 * The SQLSTATE of a source that belongs to another identity. It is in class 28 (invalid authorization), so a writer pauses and
 * keeps everything; the SQL standard leaves subclasses from S on to implementations.
 */
export const foreignSource = "28S01"

/** One life of a process, from start to end. */
export interface Incarnation {
  /** A uuid of its own. */
  readonly source: string
  readonly host: string
  readonly pid: number
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  /** Of the machine's boot, as its system tells it; two lives with the same one had the same page cache under them. */
  readonly bootId: string
  /** The mode that its events are kept in unless their result has another: `memory`, `journal`, `fsync` or `commit`. */
  readonly durability: string
}

/** What became of the rows of one append: each is in the table, or is a conflict. */
export interface Appended {
  /** Rows whose id the table holds with another content. They were put among the dead letters in the same transaction. */
  readonly conflicts: ReadonlyArray<AuditId>
}

/** Why a row is not in the table. */
export interface Rejection {
  /** Null when the database did not name one. */
  readonly sqlstate: string | null
  readonly reason: string
  readonly attempts: number
}

/** How an incarnation ended. */
export interface SignOff {
  /** The last number given; each from 1 to here was in the trail's hands. */
  readonly lastSeq: number
  readonly shed: number
  readonly refused: number
  /** Events that were taken and could not be written. */
  readonly unwritten: number
  /** Events whose COMMIT was not answered, and the database could not be asked. */
  readonly inDoubt: number
  /** Events whose journal record was corrupt. */
  readonly quarantined: number
}

/** What is known of an incarnation that never signed off, from what it left behind. Totals, not additions. */
export interface LeftCounts {
  readonly refused: number
  readonly shed: number
  readonly quarantined: number
}

/** What the gap detector found between two numbers of a source. */
export interface CheckedRange {
  /** `checked_seq` as it was when the look began; the range is after it. */
  readonly from: number
  /** The last number that was looked for. */
  readonly checkedSeq: number
  /** Numbers of the range that are nowhere: neither rows nor dead letters, nor shed, nor quarantined. */
  readonly lost: number
}

/** Which of the ids in doubt are where. */
export interface Located {
  readonly committed: ReadonlySet<AuditId>
  readonly deadLettered: ReadonlySet<AuditId>
}

/**
 * Where rows go, of this incarnation and of the dead ones whose journals it drains: writers take turns. An error of phase `commit` leaves the outcome unknown: the same ids have to be sent again with
 * `certain: false`. At any other error nothing was written.
 */
export class AuditStore extends Context.Tag("audit/store/AuditStore")<
  AuditStore,
  {
    /** The id of the trail that the database holds, a uuid. */
    readonly trail: Effect.Effect<string, DatabaseError>
    /** Makes the incarnation known, on a session apart: no append waits for it. Harmless when repeated. */
    readonly register: (incarnation: Incarnation) => Effect.Effect<void, DatabaseError>
    /** Says that the incarnation lives, on a session apart. By it others know a dead one: see `AuditLedger.silent`. */
    readonly heartbeat: (incarnation: Incarnation) => Effect.Effect<void, DatabaseError>
    /**
     * Writes the rows, all of one source, and advances that source's last number, in one transaction. With `certain` none of
     * the ids can be in the table yet; without, those that are there count as written.
     */
    readonly append: (
      rows: ReadonlyArray<HashedRow>,
      options: { readonly certain: boolean }
    ) => Effect.Effect<Appended, DatabaseError>
    /** Keeps the original bytes of a row that the table refuses. Harmless when repeated. */
    readonly deadLetter: (row: HashedRow, why: Rejection) => Effect.Effect<void, DatabaseError>
    /**
     * Makes the partition for an id; false when the id lies outside the time that may have one. A partition that exists and is
     * detached is an error of the set-up (42P16).
     */
    readonly makePartition: (id: AuditId) => Effect.Effect<boolean, DatabaseError>
    /** Makes the partitions of the months to come, on a session apart: no append waits for it. */
    readonly makePartitionsAhead: Effect.Effect<void, DatabaseError>
    /** Harmless when repeated. */
    readonly signOff: (incarnation: Incarnation, end: SignOff) => Effect.Effect<void, DatabaseError>
    /**
     * Says of a source that did not sign off that whatever it numbered after `after` is unknown, on a session apart. The first
     * such word stands; counts only grow. Harmless when repeated.
     */
    readonly closeUnknown: (source: string, after: number, counts: LeftCounts) => Effect.Effect<void, DatabaseError>
    /**
     * Adds what a look for gaps found, once: false, and nothing is changed, when the source was checked further meanwhile
     * (by another process, or by this one when the answer was lost).
     */
    readonly recordLoss: (source: string, found: CheckedRange) => Effect.Effect<boolean, DatabaseError>
    /**
     * Ends writing, for good: cuts the session at once, also one that is being opened, so that a silent server holds nobody up
     * and no append or dead letter reaches the server afterwards. `locate` and `signOff` use another session.
     */
    readonly abandon: Effect.Effect<void>
    /** Where the ids are, once every transaction of this incarnation that was sent has ended. */
    readonly locate: (incarnation: Incarnation, ids: ReadonlyArray<AuditId>) => Effect.Effect<Located, DatabaseError>
  }
>() {}
