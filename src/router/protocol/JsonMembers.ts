import { endOfString } from "../../domain/JsonText.ts"

/*
 * The members of a JSON object as their own texts. What is passed on so is equal byte for byte: parsed and written again, 1.0 becomes 1,
 * and an integer beyond 2^53 becomes another one.
 */

export interface JsonMembers {
  /** The text of each member's value by its key, without the space around it. Of equal keys the last counts, as for `JSON.parse`. */
  readonly texts: ReadonlyMap<string, string>
  /** Levels of objects and arrays, the object itself included. */
  readonly depth: number
}

const [quote, colon, comma] = [0x22, 0x3a, 0x2c]

const isOpening = (code: number): boolean => code === 0x7b || code === 0x5b

const isClosing = (code: number): boolean => code === 0x7d || code === 0x5d

const keyOf = (literal: string): string => (literal.includes("\\") ? String(JSON.parse(literal)) : literal.slice(1, -1))

/** Reads the members of a valid JSON text of an object, in one pass. */
export const jsonMembers = (text: string): JsonMembers => {
  const texts = new Map<string, string>()
  let [depth, deepest, start] = [0, 0, -1]
  let key: string | undefined
  const endMember = (at: number) => {
    if (key !== undefined && start !== -1) texts.set(key, text.slice(start, at).trim())
    key = undefined
    start = -1
  }
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) {
      const end = endOfString(text, at)
      if (depth === 1 && key === undefined) key = keyOf(text.slice(at, end + 1))
      at = end
    } else if (isOpening(code)) {
      depth += 1
      if (depth > deepest) deepest = depth
    } else if (isClosing(code)) {
      if (depth === 1) endMember(at)
      depth -= 1
    } else if (depth === 1) {
      if (code === colon) start = at + 1
      else if (code === comma) endMember(at)
    }
  }
  return { texts, depth: deepest }
}
