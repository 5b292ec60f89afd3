/** How many rows the writer sends in a batch: fewer when the database does not accept a batch in time, then more again. */
export interface BatchSizer {
  readonly rows: number
  /** Consecutive batches of that size that were written. */
  readonly streak: number
}

/** Successes before a larger batch is tried: a failed try costs two deadlines. */
const successesToGrow = 8

/** Halves the size after a batch of `rows` failed. */
export const shrunk = (rows: number): BatchSizer => ({ rows: Math.max(1, Math.ceil(rows / 2)), streak: 0 })

/** Counts a written batch of `rows`, and doubles the size after enough of them. */
export const confirmed = (sizer: BatchSizer, rows: number, largest: number): BatchSizer => {
  if (sizer.rows >= largest || rows < sizer.rows) return sizer
  return sizer.streak + 1 < successesToGrow
    ? { ...sizer, streak: sizer.streak + 1 }
    : { rows: Math.min(sizer.rows * 2, largest), streak: 0 }
}
