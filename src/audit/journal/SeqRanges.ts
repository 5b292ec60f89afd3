/** A set of event numbers that come and go mostly in order, in as many ranges as it has gaps. */
export interface SeqRanges {
  /** Of a number above all that are in it. */
  readonly add: (seq: number) => void
  /** False when it was not in it. */
  readonly remove: (seq: number) => boolean
  /** Takes out those from `from` to `to`, ends included; gives how many. */
  readonly removeBetween: (from: number, to: number) => number
  readonly has: (seq: number) => boolean
  readonly first: () => number | undefined
  readonly size: () => number
  /** Moves those from `from` on into a set of their own. */
  readonly split: (from: number) => SeqRanges
  readonly ranges: () => ReadonlyArray<{ readonly from: number; readonly to: number }>
}

interface Range {
  from: number
  to: number
}

/** Ranges passed at the head before the list is made anew: `shift` for each would be quadratic. */
const slack = 64

const over = (initial: Array<Range>): SeqRanges => {
  let ranges = initial
  let head = 0
  let size = initial.reduce((sum, { from, to }) => sum + to - from + 1, 0)

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
    has: (seq) => {
      const range = ranges[find(seq)]
      return range !== undefined && range.from <= seq
    },
    first: () => ranges[head]?.from,
    size: () => size,
    split: (from) => {
      const moved = ranges.slice(find(from)).map((range) => ({ from: Math.max(from, range.from), to: range.to }))
      removeBetween(from, Number.MAX_SAFE_INTEGER)
      return over(moved)
    },
    ranges: () => ranges.slice(head)
  }
}

export const make = (): SeqRanges => over([])
