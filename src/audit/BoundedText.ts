/** NUL, which PostgreSQL's text cannot hold, and (by the u flag) surrogates that are not part of a pair. */
const unfit = /[\0\ud800-\udfff]/u
const unfitAll = /[\0\ud800-\udfff]/gu

export interface BoundedText {
  readonly text: string
  readonly truncated: boolean
  readonly cleaned: boolean
}

/** The first `limit` code points. Reads no more than that, however long the text is. */
const firstCodePoints = (text: string, limit: number): string => {
  let units = 0
  for (let points = 0; points < limit && units < text.length; points++) {
    units += (text.codePointAt(units) ?? 0) > 0xffff ? 2 : 1
  }
  return text.slice(0, units)
}

/**
 * At most `limit` code points (what PostgreSQL's char_length counts) of what UTF-8 and PostgreSQL can hold; what they cannot
 * hold becomes U+FFFD. The result keeps no reference to a longer original.
 */
export const boundText = (given: string, limit: number): BoundedText => {
  const start = given.length <= limit ? given : firstCodePoints(given, limit)
  const truncated = start.length < given.length
  if (unfit.test(start)) return { text: start.replace(unfitAll, "\ufffd"), truncated, cleaned: true }
  // V8 makes a slice a view of its original: a copy, so that a queued row does not hold on to a whole body.
  return { text: truncated ? Buffer.from(start, "utf16le").toString("utf16le") : start, truncated, cleaned: false }
}
