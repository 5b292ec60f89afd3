import type { HashedRow } from "../encoding/AuditRow.ts"

/** Rows that are written in one transaction, and what is known of earlier attempts. */
export interface Batch {
  readonly rows: ReadonlyArray<HashedRow>
  /** None of the rows can be in the store yet. */
  readonly certain: boolean
  /** Failed attempts that the rows may have caused; an outage does not count. */
  readonly attempts: number
  /** Points for consecutive failures that the batch size may have caused. */
  readonly overruns: number
  /** How often the partitions were created after the database had reported that one was missing. */
  readonly partitionsMade: number
  /** The batch was parked, so later rows have passed it; its age says nothing about the rows behind it. */
  readonly wasParked: boolean
}

export const makeBatch = (rows: ReadonlyArray<HashedRow>): Batch => ({
  rows,
  certain: true,
  attempts: 0,
  overruns: 0,
  partitionsMade: 0,
  wasParked: false
})

/** Splits rows into batches of at most `maximum` characters; a longer row is a batch of its own. */
export const splitBySize = (rows: ReadonlyArray<HashedRow>, maximum: number): ReadonlyArray<Batch> => {
  const groups: Array<Array<HashedRow>> = []
  let size = 0
  for (const row of rows) {
    const last = groups.at(-1)
    if (last === undefined || size + row.size > maximum) {
      groups.push([row])
      size = row.size
    } else {
      last.push(row)
      size += row.size
    }
  }
  return groups.map(makeBatch)
}

/** Splits a batch after `length` rows; both parts keep what is known of it. */
export const splitAt = (batch: Batch, length: number): ReadonlyArray<Batch> =>
  batch.rows.length <= length
    ? [batch]
    : [
        { ...batch, rows: batch.rows.slice(0, length) },
        { ...batch, rows: batch.rows.slice(length) }
      ]

/** Sums the sizes of rows, in characters of canonical JSON. */
export const sizeOf = (rows: ReadonlyArray<HashedRow>): number => rows.reduce((sum, row) => sum + row.size, 0)
