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

const rowsIn = (batches: ReadonlyArray<Batch>): number => batches.reduce((sum, batch) => sum + batch.rows.length, 0)

const charsIn = (batches: ReadonlyArray<Batch>): number => batches.reduce((sum, batch) => sum + sizeOf(batch.rows), 0)

/**
 * The batches that the writer has taken: those in flight, oldest first, and those that are parked because they can neither be
 * written nor become dead letters now. The batches stay here until they are settled, so a writer that dies loses none.
 */
export const makeInFlightBatches = () => {
  let inFlight: ReadonlyArray<Batch> = []
  let parked: ReadonlyArray<Batch> = []
  let count = 0
  let chars = 0

  const recount = (before: ReadonlyArray<Batch>, after: ReadonlyArray<Batch>) => {
    count += rowsIn(after) - rowsIn(before)
    chars += charsIn(after) - charsIn(before)
  }

  return {
    inFlight: () => inFlight,
    parked: () => parked,
    /** Puts batches in flight, where none is. */
    hold: (batches: ReadonlyArray<Batch>) => {
      recount([], batches)
      inFlight = batches
    },
    replaceFirst: (batches: ReadonlyArray<Batch>) => {
      recount(inFlight.slice(0, 1), batches)
      inFlight = [...batches, ...inFlight.slice(1)]
    },
    /** Parks the first batch in flight: later batches pass it. */
    parkFirst: () => {
      parked = [...parked, ...inFlight.slice(0, 1).map((batch) => ({ ...batch, wasParked: true }))]
      inFlight = inFlight.slice(1)
    },
    /** Puts the parked batches before all others in flight. */
    unpark: () => {
      inFlight = [...parked, ...inFlight]
      parked = []
    },
    /** Removes rows from all batches, and returns the removed rows, batch by batch. */
    remove: (isSettled: (row: HashedRow) => boolean) => {
      const before = [...parked, ...inFlight]
      inFlight = before.map((batch) => ({ ...batch, rows: batch.rows.filter((row) => !isSettled(row)) }))
      parked = []
      recount(before, inFlight)
      return before.map((batch) => batch.rows.filter(isSettled))
    },
    /** Rows, parked ones included. */
    count: () => count,
    /** Characters of canonical JSON, those of parked rows included. */
    chars: () => chars
  }
}

export type InFlightBatches = ReturnType<typeof makeInFlightBatches>
