import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import type { Batch } from "../queue/Batch.ts"
import { splitAt } from "../queue/Batch.ts"
import { retryClass } from "./RetryClass.ts"

/** What the drain does after a failed append. `piece` takes the failed one's place. */
export type RetryDecision =
  /** Again after a growing pause, for as long as it takes. */
  | { readonly _tag: "wait"; readonly piece: Batch }
  /** As `wait`, with less at a time. */
  | { readonly _tag: "shorten"; readonly piece: Batch }
  /** Again after a long pause, and somebody has to be told. */
  | { readonly _tag: "pause"; readonly piece: Batch }
  /** Again at once, knowing more. */
  | { readonly _tag: "again"; readonly piece: Batch }
  | { readonly _tag: "make-partitions"; readonly piece: Batch }
  | { readonly _tag: "split"; readonly pieces: ReadonlyArray<Batch> }
  /** The piece is one row, and the row is bad. */
  | { readonly _tag: "reject"; readonly piece: Batch }

/** Tries of a piece whose failure nobody understands. */
export const unknownAttempts = 3

/** What overruns may weigh, in a row, before less is sent at a time: two that say so, or eight cut connections. */
const overrunsAllowed = 8

type Failure = Pick<DatabaseError, "phase" | "sqlstate" | "constraint" | "late">

/**
 * Whether a failed append can have written something. Nothing is committed before COMMIT was sent: when no session was had, or
 * a statement failed or was not answered, the server rolls back. An error at COMMIT leaves it open.
 */
const leavesDoubt = (error: Failure): boolean => error.phase === "commit"

/**
 * Whether the piece may be more than the database takes in the time, or has memory for: it was not answered in time, the
 * statement or transaction was cancelled for its length (57014, 25P04), it was out of memory (53200). A connection that is
 * cut says little of the piece; one that is cut at each try says that it is what the server, or something before it, dies of.
 */
const overrunOf = ({ late, phase, sqlstate }: Failure): number => {
  if (phase === "connect") return 0
  if (late === true || sqlstate === "57014" || sqlstate === "25P04" || sqlstate === "53200") return 4
  return sqlstate === undefined ? 1 : 0
}

/** Halves the piece, or rejects its only row. */
export const isolate = (piece: Batch): RetryDecision =>
  piece.rows.length <= 1
    ? { _tag: "reject", piece }
    : { _tag: "split", pieces: splitAt(piece, Math.ceil(piece.rows.length / 2)) }

/** Nobody's fault: again, with less when the piece itself may be too much. A session that is not had says nothing of it. */
const waitFor = (piece: Batch, error: Failure): RetryDecision => {
  if (error.phase === "connect") return { _tag: "wait", piece }
  const overrun = overrunOf(error)
  if (overrun === 0) return { _tag: "wait", piece: { ...piece, overruns: 0 } }
  const overruns = piece.overruns + overrun
  return overruns >= overrunsAllowed && piece.rows.length > 1
    ? { _tag: "shorten", piece: { ...piece, overruns: 0 } }
    : { _tag: "wait", piece: { ...piece, overruns } }
}

export const decideRetry = (failed: Batch, error: Failure): RetryDecision => {
  const piece = leavesDoubt(error) ? { ...failed, certain: false } : failed
  const blamed = { ...piece, attempts: piece.attempts + 1 }
  switch (retryClass(error)) {
    case "transient":
      return waitFor(piece, error)
    case "set-up":
      return { _tag: "pause", piece }
    case "doubt":
      // Tolerating known ids did not help, so it is another key that clashes.
      return failed.certain ? { _tag: "again", piece: { ...piece, certain: false } } : isolate(blamed)
    case "partition":
      return piece.partitionsMade >= unknownAttempts ? isolate(blamed) : { _tag: "make-partitions", piece }
    case "data":
      return isolate(blamed)
    case "unknown":
      return blamed.attempts < unknownAttempts ? { _tag: "wait", piece: blamed } : isolate(blamed)
  }
}
