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

/** Numbers that are nowhere, by what became of their events. */
export interface Attribution {
  readonly shed: number
  readonly quarantined: number
  readonly lost: number
}

/** `shed`: events that were shed and are not in a receipt yet. `spans`: damaged spans of the journal that were put aside. */
export const attribute = (found: { missing: number; shed: number; spans: number }): Attribution => {
  const shed = Math.min(found.missing, Math.max(0, found.shed))
  const rest = found.missing - shed
  return found.spans > 0 ? { shed, quarantined: rest, lost: 0 } : { shed, quarantined: 0, lost: rest }
}

/** What of `gaps` none of `known` names; all in ascending order, ends included. */
export const unexplained = (
  gaps: ReadonlyArray<{ readonly from: number; readonly to: number }>,
  known: ReadonlyArray<{ readonly from: number; readonly to: number }>
): ReadonlyArray<{ readonly from: number; readonly to: number }> =>
  gaps.flatMap((gap) => {
    const left: Array<{ from: number; to: number }> = []
    let from = gap.from
    for (const one of known.toSorted((a, b) => a.from - b.from)) {
      if (one.to < from || one.from > gap.to) continue
      if (one.from > from) left.push({ from, to: one.from - 1 })
      from = one.to + 1
    }
    if (from <= gap.to) left.push({ from, to: gap.to })
    return left
  })
