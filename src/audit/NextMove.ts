import type { DatabaseError } from "../platform/DatabaseError.ts"
import type { Piece } from "./AuditBuffer.ts"
import { retryClass } from "./RetryClass.ts"

/** What the drain does after a failed append. `piece` takes the failed one's place. */
export type Move =
  /** Again after a growing pause, for as long as it takes. */
  | { readonly _tag: "wait"; readonly piece: Piece }
  /** Again after a long pause, and somebody has to be told. */
  | { readonly _tag: "pause"; readonly piece: Piece }
  /** Again at once, knowing more. */
  | { readonly _tag: "again"; readonly piece: Piece }
  | { readonly _tag: "make-partitions"; readonly piece: Piece }
  | { readonly _tag: "split"; readonly pieces: readonly [Piece, Piece] }
  /** The piece is one row, and the row is bad. */
  | { readonly _tag: "reject"; readonly piece: Piece }

/** Tries of a piece whose failure nobody understands. */
export const unknownAttempts = 3

/**
 * Whether a failed append can have written something: never when no session was had, nor when the server refused a statement
 * and so rolled back. At COMMIT, and where the answer is missing, nobody knows.
 */
const leavesDoubt = (error: Pick<DatabaseError, "phase" | "sqlstate">): boolean =>
  error.phase === "commit" || (error.phase === "statement" && error.sqlstate === undefined)

/** Halves the piece, or rejects its only row. */
export const isolate = (piece: Piece): Move => {
  const middle = Math.ceil(piece.rows.length / 2)
  if (piece.rows.length <= 1) return { _tag: "reject", piece }
  return {
    _tag: "split",
    pieces: [
      { ...piece, rows: piece.rows.slice(0, middle) },
      { ...piece, rows: piece.rows.slice(middle) }
    ]
  }
}

export const nextMove = (failed: Piece, error: Pick<DatabaseError, "phase" | "sqlstate" | "constraint">): Move => {
  const piece = leavesDoubt(error) ? { ...failed, certain: false } : failed
  const blamed = { ...piece, attempts: piece.attempts + 1 }
  switch (retryClass(error)) {
    case "transient":
      return { _tag: "wait", piece }
    case "set-up":
      return { _tag: "pause", piece }
    case "doubt":
      // Tolerating known ids did not help, so it is another key that clashes.
      return failed.certain ? { _tag: "again", piece: { ...piece, certain: false } } : isolate(blamed)
    case "partition":
      return blamed.attempts > unknownAttempts ? isolate(blamed) : { _tag: "make-partitions", piece: blamed }
    case "data":
      return isolate(blamed)
    case "unknown":
      return blamed.attempts < unknownAttempts ? { _tag: "wait", piece: blamed } : isolate(blamed)
  }
}
