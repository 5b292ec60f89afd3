import type { HashedRow } from "../encoding/AuditRow.ts"

/** Rows that go to the store together. */
export interface Batch {
  readonly rows: ReadonlyArray<HashedRow>
  /** None of them can be in the store yet. */
  readonly certain: boolean
  /** Failures that may be the rows' own fault; an outage costs none. */
  readonly attempts: number
  /** What the failures in a row weigh that may be due to its length. */
  readonly overruns: number
  /** Times that its partitions stood, by what the database said, after it had found none. */
  readonly partitionsMade: number
  /** Others have passed it: who waits behind it did not wait since it was recorded. */
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

/** Cuts a batch where its size (characters) asks for it. */
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

/** Cuts the first `length` rows off a longer piece; what is known of it holds for both. */
export const splitAt = (piece: Batch, length: number): ReadonlyArray<Batch> =>
  piece.rows.length <= length
    ? [piece]
    : [
        { ...piece, rows: piece.rows.slice(0, length) },
        { ...piece, rows: piece.rows.slice(length) }
      ]

export const sizeOf = (rows: ReadonlyArray<HashedRow>): number => rows.reduce((sum, row) => sum + row.size, 0)
