/** Names are written in several styles: `forceTier`, `Force-Tier` and `force_tier` mean the same. */
const plain = (name: string): string => name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "")

/** Whether the texts differ in one character: added, left out, another, or in the other's place. */
const isOneEditApart = (one: string, other: string): boolean => {
  if (one.length > other.length) return isOneEditApart(other, one)
  if (other.length - one.length > 1) return false
  let start = 0
  while (start < one.length && one[start] === other[start]) start += 1
  if (one.length < other.length) return one.slice(start) === other.slice(start + 1)
  const isReplaced = one.slice(start + 1) === other.slice(start + 1)
  const isSwapped =
    one[start] === other[start + 1] &&
    one[start + 1] === other[start] &&
    one.slice(start + 2) === other.slice(start + 2)
  return isReplaced || isSwapped
}

/** A longer text is not a misspelt name; it is not looked at. */
const longestName = 40

/** Whether `name` is not `known` and is meant to be: in another style, or with one character wrong. */
export const isMisspelling = (name: string, known: string): boolean => {
  if (name === known || name.length > longestName) return false
  const [given, meant] = [plain(name), plain(known)]
  return given === meant || isOneEditApart(given, meant)
}
