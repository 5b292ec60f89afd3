import type { HashedRow } from "../encoding/AuditRow.ts"
import { type Batch, sizeOf } from "./Batch.ts"

/**
 * The batches that the writer has taken: those in flight, oldest first, and those that are parked because they can neither be
 * written nor become dead letters now. The batches stay here until they are settled, so a writer that dies loses none.
 */
export interface InFlightBatches {
  readonly inFlight: () => ReadonlyArray<Batch>
  readonly parked: () => ReadonlyArray<Batch>
  /** Puts batches in flight, where none is. */
  readonly hold: (batches: ReadonlyArray<Batch>) => void
  /** Replaces the first batch in flight. */
  readonly replaceFirst: (batches: ReadonlyArray<Batch>) => void
  /** Parks the first batch in flight: later batches pass it. */
  readonly parkFirst: () => void
  /** Puts the parked batches before all others in flight. */
  readonly unpark: () => void
  /** Removes rows from all batches, and returns the removed rows, batch by batch. */
  readonly remove: (isSettled: (row: HashedRow) => boolean) => ReadonlyArray<ReadonlyArray<HashedRow>>
  /** Rows, parked ones included. */
  readonly count: () => number
  /** Characters of canonical JSON, those of parked rows included. */
  readonly chars: () => number
}

const rowsIn = (batches: ReadonlyArray<Batch>): number => batches.reduce((sum, batch) => sum + batch.rows.length, 0)

const charsIn = (batches: ReadonlyArray<Batch>): number => batches.reduce((sum, batch) => sum + sizeOf(batch.rows), 0)

export const make = (): InFlightBatches => {
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
    hold: (batches) => {
      recount([], batches)
      inFlight = batches
    },
    replaceFirst: (batches) => {
      recount(inFlight.slice(0, 1), batches)
      inFlight = [...batches, ...inFlight.slice(1)]
    },
    parkFirst: () => {
      parked = [...parked, ...inFlight.slice(0, 1).map((batch) => ({ ...batch, wasParked: true }))]
      inFlight = inFlight.slice(1)
    },
    unpark: () => {
      inFlight = [...parked, ...inFlight]
      parked = []
    },
    remove: (isSettled) => {
      const before = [...parked, ...inFlight]
      inFlight = before.map((batch) => ({ ...batch, rows: batch.rows.filter((row) => !isSettled(row)) }))
      parked = []
      recount(before, inFlight)
      return before.map((batch) => batch.rows.filter(isSettled))
    },
    count: () => count,
    chars: () => chars
  }
}
