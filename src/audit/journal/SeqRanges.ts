/** Consecutive numbers of events, both ends included. */
export interface SeqRange {
  readonly from: number
  readonly to: number
}

/** Counts the numbers in ranges that do not overlap. */
export const sizeOf = (ranges: ReadonlyArray<SeqRange>): number =>
  ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0)

/** A set of event numbers that are added and removed mostly in order, stored as ranges. */
export interface SeqRanges {
  /** Adds a number above all others in the set. */
  readonly add: (seq: number) => void
  /** Removes a number. Returns false when it was not in the set. */
  readonly remove: (seq: number) => boolean
  /** Removes the numbers from `from` to `to`, both included. Returns how many were removed. */
  readonly removeBetween: (from: number, to: number) => number
  readonly first: () => number | undefined
  readonly size: () => number
  /** Moves the numbers from `from` on into a new set. */
  readonly split: (from: number) => SeqRanges
  readonly ranges: () => ReadonlyArray<SeqRange>
}

type Range = { -readonly [End in keyof SeqRange]: number }

/** Removed ranges at the head before the list is copied: `shift` for each would be quadratic. */
const slack = 64

export const make = (initial: Array<Range> = []): SeqRanges => {
  let ranges = initial
  let head = 0
  let size = sizeOf(initial)

  /** The first range that ends at `seq` or later. */
  const find = (seq: number): number => {
    let low = head
    let high = ranges.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const range = ranges[middle]
      if (range !== undefined && range.to < seq) low = middle + 1
      else high = middle
    }
    return low
  }

  const pass = () => {
    head += 1
    if (head < slack) return
    ranges = ranges.slice(head)
    head = 0
  }

  const removeBetween = (from: number, to: number): number => {
    const before = size
    const first = find(from)
    const kept: Array<Range> = []
    let next = first
    for (let range = ranges[next]; range !== undefined && range.from <= to; range = ranges[next]) {
      size -= Math.min(to, range.to) - Math.max(from, range.from) + 1
      if (range.from < from) kept.push({ from: range.from, to: from - 1 })
      if (range.to > to) kept.push({ from: to + 1, to: range.to })
      next += 1
    }
    ranges.splice(first, next - first, ...kept)
    return before - size
  }

  return {
    add: (seq) => {
      size += 1
      const last = ranges.length > head ? ranges[ranges.length - 1] : undefined
      if (last !== undefined && last.to === seq - 1) last.to = seq
      else ranges.push({ from: seq, to: seq })
    },
    remove: (seq) => {
      const first = ranges[head]
      if (first === undefined || first.from !== seq) return removeBetween(seq, seq) === 1
      size -= 1
      if (first.from === first.to) pass()
      else first.from += 1
      return true
    },
    removeBetween,
    first: () => ranges[head]?.from,
    size: () => size,
    split: (from) => {
      const moved = ranges.slice(find(from)).map((range) => ({ from: Math.max(from, range.from), to: range.to }))
      removeBetween(from, Number.MAX_SAFE_INTEGER)
      return make(moved)
    },
    ranges: () => ranges.slice(head)
  }
}
