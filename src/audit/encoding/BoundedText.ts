/** NUL, which PostgreSQL's text cannot hold, and (by the u flag) surrogates that are not part of a pair. */
const unfit = /[\0\ud800-\udfff]/u

const surrogate = /[\ud800-\udfff]/

export interface BoundedText {
  readonly text: string
  readonly truncated: boolean
  readonly cleaned: boolean
}

/** Returns the first `limit` code points, and reads no more than those. */
const firstCodePoints = (text: string, limit: number): string => {
  const start = text.slice(0, limit)
  if (!surrogate.test(start)) return start
  let units = 0
  for (let points = 0; points < limit && units < text.length; points++) {
    units += (text.codePointAt(units) ?? 0) > 0xffff ? 2 : 1
  }
  return text.slice(0, units)
}

/** A reused buffer for code units: cleaning is synchronous, and a new array for each text would double its cost. */
const scratch = new Uint16Array(4_096)
const scratchBytes = Buffer.from(scratch.buffer)

/** Cleans unit by unit: `replace` would cost ten times as much for a text of invalid characters only. */
const cleaned = (text: string): string => {
  if (text.length > scratch.length) {
    // Does not split a surrogate pair.
    const middle = (text.charCodeAt(scratch.length - 1) & 0xfc00) === 0xd800 ? scratch.length - 1 : scratch.length
    return cleaned(text.slice(0, middle)) + cleaned(text.slice(middle))
  }
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    const kind = unit & 0xfc00
    if (kind === 0xd800 && (text.charCodeAt(index + 1) & 0xfc00) === 0xdc00) {
      scratch[index] = unit
      index += 1
      scratch[index] = text.charCodeAt(index)
    } else {
      scratch[index] = unit === 0 || kind === 0xd800 || kind === 0xdc00 ? 0xfffd : unit
    }
  }
  return scratchBytes.toString("utf16le", 0, text.length * 2)
}

/**
 * Cuts a text to `limit` code points, as PostgreSQL's char_length counts them. Characters that UTF-8 or PostgreSQL cannot hold
 * become U+FFFD. The result keeps no reference to a longer original.
 */
export const boundText = (given: string, limit: number): BoundedText => {
  const start = given.length <= limit ? given : firstCodePoints(given, limit)
  const truncated = start.length < given.length
  if (unfit.test(start)) return { text: cleaned(start), truncated, cleaned: true }
  // A slice is a view of its original in V8. The copy keeps a queued row from holding a whole request body.
  return { text: truncated ? Buffer.from(start, "utf16le").toString("utf16le") : start, truncated, cleaned: false }
}
