/*
 * Reads JSON texts whose meaning does not depend on the reader (RFC 7493, I-JSON). `JSON.parse` keeps the last of equal keys, and rounds
 * numbers to doubles. Both change what a text says, and the reader of the result cannot see it.
 */

/** One object of a JSON text has a key twice. */
export class DuplicateKey extends Error {
  /** The keys and indexes from the outermost value to the key that is repeated, in `path`. */
  constructor(readonly path: ReadonlyArray<string>) {
    super("an object has a key twice")
  }
}

/** The literals that a number does not hold exactly, by the object or array that `parseExactJson` put the number into. */
const literals = new WeakMap<object, Map<string, string>>()

/** Returns those of one object or array, by key or index; undefined where it has none, as nearly always. */
export const inexactLiterals = (holder: object): ReadonlyMap<string, string> | undefined => literals.get(holder)

/** Returns the member of an object, as the text of its literal where the number in its place is another. */
export const exactMember = (holder: Readonly<Record<string, unknown>>, key: string): unknown =>
  literals.get(holder)?.get(key) ?? holder[key]

/** Digits of a literal without zeros at both ends, and the power of ten of the last one. */
const decimalOf = (literal: string): readonly [digits: string, exponent: number] => {
  const [mantissa = "", power = "0"] = literal.toLowerCase().split("e")
  const [whole = "", fraction = ""] = mantissa.replace("-", "").split(".")
  const digits = whole + fraction
  let start = 0
  while (digits[start] === "0") start += 1
  let end = digits.length
  while (end > start && digits[end - 1] === "0") end -= 1
  return start === end ? ["", 0] : [digits.slice(start, end), Number(power) - fraction.length + (digits.length - end)]
}

/** A longer exponent is not that of a double, unless the literal is written to be hard to read. */
const longExponent = /e[+-]?\d{7}/i

const quote = 0x22
const backslash = 0x5c
const colon = 0x3a
const minus = 0x2d
const zero = 0x30
const nine = 0x39

/** Whether an odd number of backslashes is before a character. */
const isEscaped = (text: string, at: number): boolean => {
  let start = at
  while (text.charCodeAt(start - 1) === backslash) start -= 1
  return (at - start) % 2 === 1
}

/** The index of the quote that ends the string which begins at `open`; -1 where the text ends within it. */
export const endOfString = (text: string, open: number): number => {
  let at = text.indexOf('"', open + 1)
  while (text.charCodeAt(at - 1) === backslash && isEscaped(text, at)) at = text.indexOf('"', at + 1)
  return at
}

const isDigit = (code: number): boolean => code >= zero && code <= nine

/** The index after the number that begins at `start`. */
const endOfNumber = (text: string, start: number): number => {
  let at = start + 1
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at)
    // Digits, and `.`, `e`, `E`, `+`, `-`.
    if (!isDigit(code) && code !== 0x2e && (code | 0x20) !== 0x65 && code !== 0x2b && code !== minus) break
  }
  return at
}

/** Numbers of up to 15 characters without an exponent have at most 15 digits, which a double holds. */
const shortNumber = 15

const isExponent = (code: number): boolean => (code | 0x20) === 0x65

const isSuspect = (text: string, start: number, end: number): boolean => {
  if (end - start > shortNumber) return true
  for (let at = start; at < end; at++) if (isExponent(text.charCodeAt(at))) return true
  return false
}

/** Counts the digits of a literal before its exponent, without zeros at both ends. */
const significantDigits = (literal: string): number => {
  let digits = 0
  let zeros = 0
  for (let at = 0; at < literal.length; at++) {
    const code = literal.charCodeAt(at)
    if (isExponent(code)) break
    if (!isDigit(code)) continue
    if (code !== zero) {
      digits += zeros + 1
      zeros = 0
    } else if (digits > 0) zeros += 1
  }
  return digits
}

/** The shortest text of a double that reads as that double has at most so many digits. */
const mostDigits = 17

/**
 * Whether a double holds the number of a literal, so that every program reads the same number. An integer beyond 2^53 - 1 never
 * counts as held, also where a double has its value: of such keys the even ones would be numbers, and the odd ones texts.
 */
export const isExact = (literal: string): boolean => {
  // Before all that costs more: a body may hold a hundred thousand of them.
  if (significantDigits(literal) > mostDigits) return false
  const value = Number(literal)
  if (!/[.e]/i.test(literal)) return Number.isSafeInteger(value)
  if (String(value) === literal) return true
  if (!Number.isFinite(value) || longExponent.test(literal)) return false
  const [digits, exponent] = decimalOf(literal)
  const [held, heldExponent] = decimalOf(String(value))
  return digits === held && exponent === heldExponent
}

interface Survey {
  /** How many members all objects have together, repeated keys counted each time. */
  readonly members: number
  readonly isExact: boolean
}

/** Surveys a valid JSON text, in one pass over its characters. */
const survey = (text: string): Survey => {
  let members = 0
  let hasInexact = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) at = endOfString(text, at)
    else if (code === colon) members += 1
    else if (isDigit(code) || code === minus) {
      const end = endOfNumber(text, at)
      hasInexact ||= isSuspect(text, at, end) && !isExact(text.slice(at, end))
      at = end - 1
    }
  }
  return { members, isExact: !hasInexact }
}

const isCompound = (value: unknown): value is object => typeof value === "object" && value !== null

/** How many members the objects of a value have together. Breadth first, so that depth costs no stack. */
const countMembers = (root: unknown): number => {
  if (!isCompound(root)) return 0
  let members = 0
  const found: Array<object> = [root]
  for (let one = found.pop(); one !== undefined; one = found.pop()) {
    const values: ReadonlyArray<unknown> = Array.isArray(one) ? one : Object.values(one)
    if (values !== one) members += values.length
    for (const value of values) if (isCompound(value)) found.push(value)
  }
  return members
}

/** An object or array that the walk is in. */
interface Place {
  readonly value: object
  /** The keys so far; undefined of an array. */
  readonly keys: Set<string> | undefined
  /** Of the present member; an array has its index here. */
  key: string
  index: number
  awaitsKey: boolean
}

/** Walks through a valid JSON text beside its value, to note each inexact literal. Throws DuplicateKey at the first repeated key. */
class Walk {
  private readonly places: Array<Place> = []
  private at = 0

  constructor(
    private readonly text: string,
    private readonly root: unknown
  ) {}

  run(): void {
    for (; this.at < this.text.length; this.at++) this.step(this.text.charAt(this.at), this.places.at(-1))
  }

  private step(character: string, place: Place | undefined): void {
    if (character === '"') this.string(place)
    else if (character === "{" || character === "[") this.open(place, character === "{")
    else if (character === "}" || character === "]") this.places.pop()
    else if (character === "," && place !== undefined) {
      place.index += 1
      place.awaitsKey = place.keys !== undefined
      if (!place.awaitsKey) place.key = String(place.index)
    } else if (character === "-" || isDigit(character.charCodeAt(0))) this.number(place)
  }

  /** Where a key is repeated, the value in its place may be another than the text has here. The repetition follows, and ends the walk. */
  private open(place: Place | undefined, isObject: boolean): void {
    const value: unknown = place === undefined ? this.root : Reflect.get(place.value, place.key)
    this.places.push({
      value: isCompound(value) ? value : {},
      keys: isObject ? new Set() : undefined,
      key: "0",
      index: 0,
      awaitsKey: isObject
    })
  }

  private string(place: Place | undefined): void {
    const end = endOfString(this.text, this.at)
    if (place?.keys !== undefined && place.awaitsKey) {
      const key = String(JSON.parse(this.text.slice(this.at, end + 1)))
      place.key = key
      if (place.keys.has(key)) throw new DuplicateKey(this.places.map((one) => one.key))
      place.keys.add(key)
      place.awaitsKey = false
    }
    this.at = end
  }

  private number(place: Place | undefined): void {
    const end = endOfNumber(this.text, this.at)
    const literal = this.text.slice(this.at, end)
    if (place !== undefined && isSuspect(this.text, this.at, end) && !isExact(literal)) {
      const noted = literals.get(place.value) ?? new Map<string, string>()
      literals.set(place.value, noted.set(place.key, literal))
    }
    this.at = end - 1
  }
}

/**
 * Parses a JSON text as `JSON.parse` does, and notes the literals that its numbers do not hold: `inexactLiterals` returns them.
 * Throws DuplicateKey where an object has a key twice, and the SyntaxError of `JSON.parse`.
 *
 * A usual text costs one more pass over its characters and one over its value. `JSON.parse` tells nothing of repeated keys, but the
 * text has more colons between its strings then than the value has members.
 */
export const parseExactJson = (text: string): unknown => {
  const value: unknown = JSON.parse(text)
  const { isExact, members } = survey(text)
  if (!isExact || members !== countMembers(value)) new Walk(text, value).run()
  return value
}
