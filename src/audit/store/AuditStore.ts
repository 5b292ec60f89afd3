import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { isLongerThan } from "../../domain/Text.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { AuditId } from "../encoding/AuditId.ts"
import type { HashedRow } from "../encoding/AuditRow.ts"
import { maximumCount } from "../encoding/RowRules.ts"
import type { TrailPlace } from "./TrailPlace.ts"

/**
 * The SQLSTATE of a source that belongs to another identity. It is in class 28 (invalid authorization), so a writer pauses and
 * keeps everything; the SQL standard leaves subclasses from S on to implementations.
 */
export const foreignSource = "28S01"

/** The SQLSTATE of a dead letter whose row the gatekeeper refused: its sender may not record it, so it is never replayed. */
export const refusedRow = "28S02"

/**
 * The SQLSTATE of a row about which the gatekeeper cannot decide yet, because the row that it names may still come. It is in class 23
 * (integrity constraint violation), so a writer sets this row apart, tries it again later and writes the others.
 */
export const undecidedRow = "23S01"

/** Bounded, because counts of other processes are shown beside true ones. */
const Count = Schema.NonNegativeInt.pipe(Schema.lessThanOrEqualTo(maximumCount))

/** Bounded, because the sources of all processes are shown in one answer. */
const Label = Schema.String.pipe(Schema.filter((text) => !isLongerThan(text, 255)))

/** One life of a process, from start to end. */
export const Incarnation = Schema.Struct({
  source: Schema.UUID,
  host: Label,
  pid: Count,
  /** Milliseconds since the epoch. */
  startedAt: Schema.Number,
  /** The id of the machine's boot, from its system; incarnations with the same id shared the page cache. */
  bootId: Label,
  /** The durability with its exceptions by result: `journal`, or `journal DENIED=fsync`. */
  durability: Label
})
export type Incarnation = typeof Incarnation.Type

/** A row that its sender may not record; it is a dead letter. */
export const Refused = Schema.Struct({ id: AuditId, reason: Schema.String })
export type Refused = typeof Refused.Type

/** The result of an append: each row is in the table, is a conflict, or is refused. */
export interface Appended {
  /** Rows whose id the table holds with another content. They became dead letters in the same transaction. */
  readonly conflicts: ReadonlyArray<AuditId>
  /** Absent where no row was refused. */
  readonly refused?: ReadonlyArray<Refused> | undefined
}

/** Why a row is not in the table. */
export const Rejection = Schema.Struct({
  /** Null when the database did not name a code. */
  sqlstate: Schema.NullOr(Label),
  reason: Schema.String,
  attempts: Count
})
export type Rejection = typeof Rejection.Type

/** The counts of an incarnation that never signed off, from its journal. Totals, not increments. */
export const LeftCounts = Schema.Struct({
  refused: Count,
  shed: Count,
  /** Events whose journal record was corrupt. */
  quarantined: Count
})
export type LeftCounts = typeof LeftCounts.Type

/** How an incarnation ended. */
export const SignOff = Schema.Struct({
  ...LeftCounts.fields,
  /** The last number given, counted from 1. */
  lastSeq: Count,
  /** Events that were accepted and could not be written. */
  unwritten: Count,
  /** Events whose COMMIT was not answered, and whose rows could not be looked up. */
  inDoubt: Count
})
export type SignOff = typeof SignOff.Type

/** The result of a search for gaps between two numbers of a source. */
export const CheckedRange = Schema.Struct({
  /** `checked_seq` when the search began; the range starts after it. */
  from: Count,
  /** The last number of the search. */
  checkedSeq: Count,
  /** Numbers of the range that have no row or dead letter, and were neither shed nor quarantined. */
  lost: Count
})
export type CheckedRange = typeof CheckedRange.Type

/** Where ids in doubt were found. */
export interface Located {
  readonly committed: ReadonlySet<AuditId>
  readonly deadLettered: ReadonlySet<AuditId>
}

/**
 * Persists rows of this process and of dead processes being recovered. One write at a time. An error of phase `commit` leaves
 * the outcome unknown: send the same ids again with `certain: false`. After any other error nothing was written.
 */
export class AuditStore extends Context.Tag("audit/store/AuditStore")<
  AuditStore,
  {
    /** The id of the trail that the database holds, a uuid. */
    readonly trail: Effect.Effect<string, DatabaseError>
    /** The database that holds the trail; absent where a gatekeeper on another machine writes into it. */
    readonly place?: Effect.Effect<TrailPlace, DatabaseError>
    /** Registers the incarnation, on a session of its own, so that no append waits for it. Idempotent. */
    readonly register: (incarnation: Incarnation) => Effect.Effect<void, DatabaseError>
    /** Sends a heartbeat, on a session of its own. Without heartbeats a source counts as dead: see `AuditLedger.silent`. */
    readonly heartbeat: (incarnation: Incarnation) => Effect.Effect<void, DatabaseError>
    /**
     * Writes rows of one source and advances its last number, in one transaction. With `certain` none of the ids can be in the
     * table yet; without it, rows that exist count as written.
     */
    readonly append: (
      rows: ReadonlyArray<HashedRow>,
      options: { readonly certain: boolean }
    ) => Effect.Effect<Appended, DatabaseError>
    /** Keeps the original bytes of a row that the table refuses. Idempotent. */
    readonly deadLetter: (row: HashedRow, why: Rejection) => Effect.Effect<void, DatabaseError>
    /**
     * Creates the partition for an id. Returns false when the id is outside the months that may have one. A detached partition is
     * a set-up error (42P16).
     */
    readonly makePartition: (id: AuditId) => Effect.Effect<boolean, DatabaseError>
    /** Creates the partitions of the coming months, on a session of its own, so that no append waits for it. */
    readonly makePartitionsAhead: Effect.Effect<void, DatabaseError>
    /** Records how the incarnation ended. Idempotent. */
    readonly signOff: (incarnation: Incarnation, end: SignOff) => Effect.Effect<void, DatabaseError>
    /**
     * Closes a source that did not sign off: it is unknown what it recorded after the number `after`. Uses a session of its own.
     * The first `after` is kept; counts only grow. Idempotent.
     */
    readonly closeUnknown: (source: string, after: number, counts: LeftCounts) => Effect.Effect<void, DatabaseError>
    /**
     * Adds the result of a search for gaps, once. Returns false and changes nothing when the source was checked further meanwhile,
     * by another process or by an earlier call whose answer was lost.
     */
    readonly recordLoss: (source: string, found: CheckedRange) => Effect.Effect<boolean, DatabaseError>
    /**
     * Ends writing. Closes the session at once, even while it is being opened, so that a silent server delays no caller, and no
     * append or dead letter reaches the server afterwards. `locate` and `signOff` use another session.
     */
    readonly abandon: Effect.Effect<void>
    /** Finds the ids, after all transactions that this incarnation sent have ended. */
    readonly locate: (incarnation: Incarnation, ids: ReadonlyArray<AuditId>) => Effect.Effect<Located, DatabaseError>
  }
>() {}
