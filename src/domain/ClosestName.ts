/**
 * Edits that lead from one text to another: letters inserted, left out, replaced, or two neighbours exchanged (optimal string alignment
 * distance). `most + 1` where more than `most` are needed.
 */
export const editDistance = (one: string, other: string, most: number): number => {
  if (Math.abs(one.length - other.length) > most) return most + 1
  let before: ReadonlyArray<number> = []
  let last: ReadonlyArray<number> = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let row = 1; row <= one.length; row++) {
    const next = [row]
    for (let column = 1; column <= other.length; column++) {
      const isSame = one[row - 1] === other[column - 1]
      const isExchange = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1]
      const edits = [
        (last[column] ?? 0) + 1,
        (next[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isSame ? 0 : 1),
        isExchange && row > 1 && column > 1 ? (before[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY
      ]
      next.push(Math.min(...edits))
    }
    before = last
    last = next
  }
  return Math.min(last[other.length] ?? 0, most + 1)
}

/** The name that `given` most likely means: the closest one within a third of its letters, at most `most` edits. */
export const closestName = (given: string, names: Iterable<string>, most = 2): string | undefined => {
  let distance = Math.min(most, Math.floor(given.length / 3)) + 1
  let closest: string | undefined
  for (const name of names) {
    const found = editDistance(given, name, distance - 1)
    if (found < distance) {
      distance = found
      closest = name
    }
  }
  return closest
}

/** `; did you mean X?`, or an empty text. */
export const didYouMean = (given: string, names: Iterable<string>): string => {
  const closest = closestName(given, names)
  return closest === undefined ? "" : `; did you mean ${closest}?`
}
