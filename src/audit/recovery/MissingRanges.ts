import type { SeqRange } from "../journal/SeqRanges.ts"

/** Returns the parts of `gaps`, which ascend and do not touch, that no range of `known` covers. */
export const unexplained = (gaps: ReadonlyArray<SeqRange>, known: ReadonlyArray<SeqRange>): ReadonlyArray<SeqRange> => {
  const sorted = known.toSorted((a, b) => a.from - b.from)
  const left: Array<SeqRange> = []
  let next = 0
  /** The highest number covered by the ranges before `next`. */
  let covered = 0
  for (const gap of gaps) {
    let { from } = gap
    if (covered >= from) from = covered + 1
    for (let one = sorted[next]; one !== undefined && one.from <= gap.to; one = sorted[next]) {
      if (one.from > from) left.push({ from, to: one.from - 1 })
      covered = Math.max(covered, one.to)
      from = Math.max(from, covered + 1)
      next += 1
    }
    if (from <= gap.to) left.push({ from, to: gap.to })
  }
  return left
}

/** Splits the numbers into the first `count` and the rest. */
const split = (ranges: ReadonlyArray<SeqRange>, count: number) => {
  const first: Array<SeqRange> = []
  const rest: Array<SeqRange> = []
  let left = Math.max(0, count)
  for (const { from, to } of ranges) {
    const taken = Math.min(left, to - from + 1)
    if (taken > 0) first.push({ from, to: from + taken - 1 })
    if (from + taken <= to) rest.push({ from: from + taken, to })
    left -= taken
  }
  return [first, rest] as const
}

/**
 * Attributes missing numbers to their causes, as ascending ranges. Damaged spans explain the numbers that they held. Of the others, as many were
 * shed and as many were unreadable as the counts say; which of them is unknown. The rest is lost.
 */
export const attribute = (found: {
  readonly missing: ReadonlyArray<SeqRange>
  /** The numbers that damaged spans of a journal held. */
  readonly damaged: ReadonlyArray<SeqRange>
  /** Events that were shed and are in no receipt. */
  readonly shed: number
  /** Events that could not be read back and are in no receipt. */
  readonly unreadable: number
}) => {
  const undamaged = unexplained(found.missing, found.damaged)
  const damaged = unexplained(found.missing, undamaged)
  const [shed, kept] = split(undamaged, found.shed)
  const [unreadable, lost] = split(kept, found.unreadable)
  return { shed, quarantined: [...damaged, ...unreadable].toSorted((a, b) => a.from - b.from), lost }
}
