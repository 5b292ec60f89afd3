/** What is known of an incarnation that is gone. */
export interface Remains {
  /** It ended in order, with its journal written through to the disk. */
  readonly ended: boolean
  /** The machine has not started anew since: what it had written to its files is there. */
  readonly sameBoot: boolean
  /** As `durabilitiesText` gives it: `journal DENIED=fsync`. */
  readonly durability: string
}

/**
 * Whether the last number found is the last that was answered. A process that died left all that it appended; a machine
 * that died left what had been written through to its disk, and only some modes answer no sooner.
 */
export const isTailKnown = ({ durability, ended, sameBoot }: Remains): boolean => {
  const modes = durability.split(" ").map((word) => word.slice(word.indexOf("=") + 1))
  if (modes.every((mode) => mode === "memory")) return ended
  return ended || sameBoot || modes.every((mode) => mode === "fsync" || mode === "commit")
}

/** Numbers of a source, both ends included. */
export interface Range {
  readonly from: number
  readonly to: number
}

export const sizeOf = (ranges: ReadonlyArray<Range>): number =>
  ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0)

/** What of `gaps`, which ascend and do not touch, none of `known` names. */
export const unexplained = (gaps: ReadonlyArray<Range>, known: ReadonlyArray<Range>): ReadonlyArray<Range> => {
  const sorted = known.toSorted((a, b) => a.from - b.from)
  const left: Array<Range> = []
  let next = 0
  /** The highest number that one of those passed names. */
  let passed = 0
  for (const gap of gaps) {
    let { from } = gap
    if (passed >= from) from = passed + 1
    for (let one = sorted[next]; one !== undefined && one.from <= gap.to; one = sorted[next]) {
      if (one.from > from) left.push({ from, to: one.from - 1 })
      passed = Math.max(passed, one.to)
      from = Math.max(from, passed + 1)
      next += 1
    }
    if (from <= gap.to) left.push({ from, to: gap.to })
  }
  return left
}

/** Numbers that are nowhere, by what became of their events. */
export interface Attribution {
  readonly shed: ReadonlyArray<Range>
  readonly quarantined: ReadonlyArray<Range>
  readonly lost: ReadonlyArray<Range>
}

/** The first `count` numbers, and the others. */
const split = (ranges: ReadonlyArray<Range>, count: number): readonly [ReadonlyArray<Range>, ReadonlyArray<Range>] => {
  const first: Array<Range> = []
  const rest: Array<Range> = []
  let left = Math.max(0, count)
  for (const { from, to } of ranges) {
    const taken = Math.min(left, to - from + 1)
    if (taken > 0) first.push({ from, to: from + taken - 1 })
    if (from + taken <= to) rest.push({ from: from + taken, to })
    left -= taken
  }
  return [first, rest]
}

/**
 * Damage explains the numbers that it covers; of the others as many were shed, and as many passed over in a damaged journal, as are
 * counted: nobody knows which. The rest is lost.
 */
export const attribute = (found: {
  readonly missing: ReadonlyArray<Range>
  /** What the damaged spans of a journal held. */
  readonly damaged: ReadonlyArray<Range>
  /** Events that were shed and are in no receipt. */
  readonly shed: number
  /** Events that could not be read back, and are in no receipt. */
  readonly passedOver: number
}): Attribution => {
  const undamaged = unexplained(found.missing, found.damaged)
  const damaged = unexplained(found.missing, undamaged)
  const [shed, kept] = split(undamaged, found.shed)
  const [passedOver, lost] = split(kept, found.passedOver)
  return { shed, quarantined: [...damaged, ...passedOver].toSorted((a, b) => a.from - b.from), lost }
}
