/**
 * Rows that the table refused one after the other, each for the same reason, with no row written in between. One bad row is
 * its own fault; many in a row are rather the schema's, and then it would be wrong to burn the trail row by row.
 */
export interface ConsecutiveRejections {
  readonly sqlstate: string | null
  readonly count: number
}

export const none: ConsecutiveRejections = { sqlstate: null, count: 0 }

/** ConsecutiveRejections that are believed to be the rows' fault. */
export const believed = 8

export const counted = (before: ConsecutiveRejections, sqlstate: string | null): ConsecutiveRejections => ({
  sqlstate,
  count: before.count > 0 && before.sqlstate === sqlstate ? before.count + 1 : 1
})

/** Whether one more rejection for this reason would say that the set-up is wrong. */
export const suggestSetUp = (before: ConsecutiveRejections, sqlstate: string | null): boolean =>
  before.count >= believed && before.sqlstate === sqlstate
