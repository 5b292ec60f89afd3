/** How many rows the drain sends together: fewer where the database does not take a piece in time, more again when it does. */
export interface BatchSizer {
  readonly rows: number
  /** Pieces of that length that went well one after the other. */
  readonly streak: number
}

/** Of pieces that go well before a longer one is tried: a try that fails costs two deadlines. */
const pace = 8

export const shortened = (rows: number): BatchSizer => ({ rows: Math.max(1, Math.ceil(rows / 2)), streak: 0 })

/** After a piece of `rows` went well. */
export const confirmed = (stride: BatchSizer, rows: number, longest: number): BatchSizer => {
  if (stride.rows >= longest || rows < stride.rows) return stride
  return stride.streak + 1 < pace
    ? { ...stride, streak: stride.streak + 1 }
    : { rows: Math.min(stride.rows * 2, longest), streak: 0 }
}
