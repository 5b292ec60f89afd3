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
}

/**
 * Where the drain puts rows. An error without a SQLSTATE leaves the outcome unknown: the same ids have to be sent again with
 * `certain: false`.
 */
export class AuditStore extends Context.Tag("audit/AuditStore")<
  AuditStore,
  {
    /** Makes the incarnation known. Harmless when repeated. */
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
    /** Makes the partition for an id; false when the id lies outside the time that may have one. */
    readonly makePartition: (id: AuditId) => Effect.Effect<boolean, DatabaseError>
    /** Makes the partitions of the months to come. */
    readonly makePartitionsAhead: Effect.Effect<void, DatabaseError>
    readonly signOff: (incarnation: Incarnation, end: SignOff) => Effect.Effect<void, DatabaseError>
    /** Cuts the session at once, so that a silent server holds nobody up; the next call opens another. */
    readonly abandon: Effect.Effect<void>
  }
>() {}
