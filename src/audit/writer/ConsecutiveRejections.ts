/**
 * Rows that the table refused consecutively for the same reason. One refused row is invalid; many in a row suggest that the
 * schema is wrong, and then they must not all become dead letters.
 */
export interface ConsecutiveRejections {
  readonly sqlstate: string | null
  readonly count: number
}

export const none: ConsecutiveRejections = { sqlstate: null, count: 0 }

/** Consecutive rejections that are blamed on the rows. */
export const believed = 8

/** Adds a rejection with this SQLSTATE. */
export const counted = (before: ConsecutiveRejections, sqlstate: string | null): ConsecutiveRejections => ({
  sqlstate,
  count: before.count > 0 && before.sqlstate === sqlstate ? before.count + 1 : 1
})

/** Whether one more rejection with this SQLSTATE would suggest that the set-up is wrong. */
export const suggestSetUp = (before: ConsecutiveRejections, sqlstate: string | null): boolean =>
  before.count >= believed && before.sqlstate === sqlstate
