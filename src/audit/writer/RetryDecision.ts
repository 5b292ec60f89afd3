import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { type Batch, splitAt } from "../queue/Batch.ts"
import { retryClass } from "../store/RetryClass.ts"

/**
 * What the writer does after a failed append. `batch` replaces the batch that failed.
 *
 * - `wait`: retry after a growing pause, without limit.
 * - `shrink`: as `wait`, with fewer rows at a time.
 * - `pause`: retry after a long pause, and report a set-up problem.
 * - `again`: retry at once. The batch now notes what the failure showed.
 * - `make-partitions`: make the missing partitions, then retry.
 * - `reject`: the batch is one row, and the row is invalid.
 * - `split`: replace the batch by its halves.
 */
export type RetryDecision =
  | { readonly _tag: "wait" | "shrink" | "pause" | "again" | "make-partitions" | "reject"; readonly batch: Batch }
  | { readonly _tag: "split"; readonly batches: ReadonlyArray<Batch> }

/** Attempts before a batch is split that fails with an unknown class, or for which partitions are made in vain. */
export const attemptsBeforeIsolation = 3

/** Shrink the batch after 8 points: a timeout counts 4, a dropped connection 1. */
const pointsToShrink = 8

type Failure = Pick<DatabaseError, "phase" | "sqlstate" | "constraint" | "late">

/** Whether a failed append may have written rows. PostgreSQL rolls back every transaction that did not reach COMMIT. */
const leavesDoubt = (error: Failure): boolean => error.phase === "commit"

/**
 * Points for a failure that the size of the batch may have caused. 4 points: no answer in time, statement or transaction
 * cancelled for its length (57014, 25P04), out of memory (53200). 1 point: a dropped connection. One says little; many in a
 * row suggest that the server, or a proxy before it, fails because of the batch.
 */
const sizePoints = ({ late, phase, sqlstate }: Failure): number => {
  if (phase === "connect") return 0
  if (late === true || sqlstate === "57014" || sqlstate === "25P04" || sqlstate === "53200") return 4
  return sqlstate === undefined ? 1 : 0
}

/** Splits the batch in half, or rejects its only row. */
export const isolate = (batch: Batch): RetryDecision =>
  batch.rows.length <= 1
    ? { _tag: "reject", batch }
    : { _tag: "split", batches: splitAt(batch, Math.ceil(batch.rows.length / 2)) }

/** Transient: retry, with a smaller batch if its size may be the cause. A failed connect neither adds nor clears points. */
const waitFor = (batch: Batch, error: Failure): RetryDecision => {
  if (error.phase === "connect") return { _tag: "wait", batch }
  const points = sizePoints(error)
  if (points === 0) return { _tag: "wait", batch: { ...batch, overruns: 0 } }
  const overruns = batch.overruns + points
  return overruns >= pointsToShrink && batch.rows.length > 1
    ? { _tag: "shrink", batch: { ...batch, overruns: 0 } }
    : { _tag: "wait", batch: { ...batch, overruns } }
}

/** Decides what to do with a batch whose append failed with `error`. */
export const decideRetry = (failed: Batch, error: Failure): RetryDecision => {
  const batch = leavesDoubt(error) ? { ...failed, certain: false } : failed
  const counted = { ...batch, attempts: batch.attempts + 1 }
  switch (retryClass(error)) {
    case "transient":
      return waitFor(batch, error)
    case "set-up":
      return { _tag: "pause", batch }
    case "doubt":
      // The failed append already tolerated known ids if it was not certain, so a row violates another unique key.
      return failed.certain ? { _tag: "again", batch: { ...batch, certain: false } } : isolate(counted)
    case "partition":
      return batch.partitionsMade >= attemptsBeforeIsolation ? isolate(counted) : { _tag: "make-partitions", batch }
    case "data":
      return isolate(counted)
    case "unknown":
      return counted.attempts < attemptsBeforeIsolation ? { _tag: "wait", batch: counted } : isolate(counted)
  }
}

/** How many rows the writer sends in a batch: fewer when the database does not accept a batch in time, then more again. */
export interface BatchSizer {
  readonly rows: number
  /** Consecutive batches of that size that were written. */
  readonly streak: number
}

/** Successes before a larger batch is tried. A failed try costs two deadlines, because two timeouts make 8 points. */
const successesToGrow = 8

/** Halves the size after a batch of `rows` failed. */
export const shrunkSizer = (rows: number): BatchSizer => ({ rows: Math.max(1, Math.ceil(rows / 2)), streak: 0 })

/** Counts a written batch of `rows`, and doubles the size after enough of them. */
export const confirmedSizer = (sizer: BatchSizer, rows: number, largest: number): BatchSizer => {
  if (sizer.rows >= largest || rows < sizer.rows) return sizer
  return sizer.streak + 1 < successesToGrow
    ? { ...sizer, streak: sizer.streak + 1 }
    : { rows: Math.min(sizer.rows * 2, largest), streak: 0 }
}

/**
 * Rows that the table refused consecutively for the same reason. One refused row is invalid; many in a row suggest that the
 * set-up is wrong, and then they must not all become dead letters.
 */
export interface ConsecutiveRejections {
  readonly sqlstate: string | null
  readonly count: number
}

export const noRejections: ConsecutiveRejections = { sqlstate: null, count: 0 }

/** After this many equal rejections in a row, the writer suspects the set-up, not the rows. */
export const believedRejections = 8

/** Adds a rejection with this SQLSTATE. */
export const countRejection = (before: ConsecutiveRejections, sqlstate: string | null): ConsecutiveRejections => ({
  sqlstate,
  count: before.count > 0 && before.sqlstate === sqlstate ? before.count + 1 : 1
})

/** Whether one more rejection with this SQLSTATE would suggest that the set-up is wrong. */
export const suggestsSetUpProblem = (before: ConsecutiveRejections, sqlstate: string | null): boolean =>
  before.count >= believedRejections && before.sqlstate === sqlstate
