import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { DatabaseError } from "../platform/DatabaseError.ts"
import type { AuditId } from "./AuditId.ts"
import type { HashedRow } from "./AuditRow.ts"

/** One life of a process, from start to end. */
export interface Incarnation {
  /** A uuid of its own. */
  readonly source: string
  readonly host: string
  readonly pid: number
  /** Milliseconds since the epoch. */
  readonly startedAt: number
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
}

/** Which of the ids in doubt are where. */
export interface Located {
  readonly committed: ReadonlySet<AuditId>
  readonly deadLettered: ReadonlySet<AuditId>
}

/**
 * Where the drain puts rows. An error of phase `commit` leaves the outcome unknown: the same ids have to be sent again with
 * `certain: false`. At any other error nothing was written.
 */
export class AuditStore extends Context.Tag("audit/AuditStore")<
  AuditStore,
  {
    /** Makes the incarnation known, on a session apart: no append waits for it. Harmless when repeated. */
    readonly register: (incarnation: Incarnation) => Effect.Effect<void, DatabaseError>
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
     * Ends writing, for good: cuts the session at once, also one that is being opened, so that a silent server holds nobody up
     * and no append or dead letter reaches the server afterwards. `locate` and `signOff` use another session.
     */
    readonly abandon: Effect.Effect<void>
    /** Where the ids are, once every transaction of this incarnation that was sent has ended. */
    readonly locate: (incarnation: Incarnation, ids: ReadonlyArray<AuditId>) => Effect.Effect<Located, DatabaseError>
  }
>() {}
