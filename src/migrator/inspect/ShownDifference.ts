import type { CatalogDifference } from "./CatalogSnapshot.ts"

/** Lines before and after a change that are shown with it. */
const around = 1

/** The most lines, outside the common beginning and end, whose common lines are searched; beyond it all of them differ. */
const longest = 2_000

/** Lengths of the longest common subsequences of the rest of both texts, by index in each. */
const commonLengths = (before: ReadonlyArray<string>, after: ReadonlyArray<string>) => {
  const width = after.length + 1
  const lengths = new Uint16Array((before.length + 1) * width)
  const at = (i: number, j: number): number => lengths[i * width + j] ?? 0
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      lengths[i * width + j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
    }
  }
  return at
}

/** How many lines at the beginning are the same. */
const commonStart = (before: ReadonlyArray<string>, after: ReadonlyArray<string>): number => {
  const different = before.findIndex((line, index) => line !== after[index])
  return different === -1 ? before.length : different
}

/** Lists the lines of both texts, each marked as common (blank), removed (`-`) or added (`+`). */
const marked = (before: ReadonlyArray<string>, after: ReadonlyArray<string>): ReadonlyArray<string> => {
  const isLong = before.length > longest || after.length > longest
  const common = isLong ? () => 0 : commonLengths(before, after)
  const lines: Array<string> = []
  let [i, j] = [0, 0]
  while (i < before.length || j < after.length) {
    if (i < before.length && before[i] === after[j]) {
      lines.push(`  ${before[i]}`)
      i += 1
      j += 1
    } else if (j >= after.length || (i < before.length && common(i + 1, j) >= common(i, j + 1))) {
      lines.push(`- ${before[i]}`)
      i += 1
    } else {
      lines.push(`+ ${after[j]}`)
      j += 1
    }
  }
  return lines
}

/** As `marked`, without a search in the common beginning and end. */
const compared = (before: ReadonlyArray<string>, after: ReadonlyArray<string>): ReadonlyArray<string> => {
  const start = commonStart(before, after)
  const [left, right] = [before.slice(start), after.slice(start)]
  const end = commonStart([...left].reverse(), [...right].reverse())
  const same = (lines: ReadonlyArray<string>) => lines.map((line) => `  ${line}`)
  return [
    ...same(before.slice(0, start)),
    ...marked(left.slice(0, left.length - end), right.slice(0, right.length - end)),
    ...same(left.slice(left.length - end))
  ]
}

/** Compares two texts by lines: what was removed and added, with a line around it, and `…` for what is left out. */
export const lineDifference = (before: string, after: string): ReadonlyArray<string> => {
  const lines = compared(before.split("\n"), after.split("\n"))
  const isNear = (index: number): boolean =>
    lines.slice(Math.max(index - around, 0), index + around + 1).some((line) => !line.startsWith("  "))
  return lines.flatMap((line, index) => (isNear(index) ? [line] : index === 0 || isNear(index - 1) ? ["  …"] : []))
}

/** Formats a difference: `+ table router.a` for a new object, `-` for a removed one, `~` and its lines for a changed one. */
export const showDifference = ({ after, before, object }: CatalogDifference): string =>
  before === null
    ? `+ ${object}`
    : after === null
      ? `- ${object}`
      : [`~ ${object}`, ...lineDifference(before, after).map((line) => `    ${line}`)].join("\n")
