import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
const controlCharacter = /[\u0000-\u001f\u007f-\u009f]/

export const hasControlCharacter = (text: string): boolean => controlCharacter.test(text)

/** As PostgreSQL can store it: its text and jsonb hold neither NUL nor half a surrogate pair. */
export const storable = (text: string): string => text.toWellFormed().replaceAll("\0", "\ufffd")

/** Counts the code points of a text, as PostgreSQL and JSON Schema count its length. Half a surrogate pair counts as one. */
export const codePoints = (text: string): number => {
  let points = 0
  for (const _ of text) points += 1
  return points
}

/** Whether a text has more than `limit` code points. Each has one or two UTF-16 code units, so most texts need no count. */
export const isLongerThan = (text: string, limit: number): boolean =>
  text.length > limit && (text.length > 2 * limit || codePoints(text) > limit)

/** Why `text` is too long; completes a sentence that begins with the field's name. Lengths are in code points. */
export const lengthProblem = (text: string, limit: number): string | undefined =>
  isLongerThan(text, limit) ? `has ${codePoints(text)} characters; at most ${limit} are allowed` : undefined

/** Why `text` must not be recorded or decided on as it is; completes a sentence that begins with the field's name. */
export const textProblem = (text: string, limit: number): string | undefined => {
  if (text === "") return "must not be empty"
  const tooLong = lengthProblem(text, limit)
  if (tooLong !== undefined) return tooLong
  if (!text.isWellFormed()) return "is not well-formed Unicode"
  return hasControlCharacter(text) ? "must not hold control characters" : undefined
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

/** The member of an object; undefined of any other value. */
export const memberOf = (value: unknown, name: string): unknown =>
  Predicate.isReadonlyRecord(value) ? value[name] : undefined

/** Reads a JSON text; None where it is not one. */
export const parseJson = Option.liftThrowable((text: string): unknown => JSON.parse(text))

/** Whether objects and arrays nest in more than `limit` levels. Level by level, so that depth costs no stack. */
export const isDeeperThan = (value: unknown, limit: number): boolean => {
  let level = [value].filter(isObject)
  for (let depth = 0; level.length > 0; depth++) {
    if (depth >= limit) return true
    const next: Array<object> = []
    for (const one of level) for (const member of Object.values(one)) if (isObject(member)) next.push(member)
    level = next
  }
  return false
}

/** What is wrong in a file, and where; counted from 1. */
export const FileProblem = Schema.Struct({ line: Schema.Number, column: Schema.Number, problem: Schema.String })
export type FileProblem = typeof FileProblem.Type

/** `file:line:column: problem`, a line for each. */
export const problemLines = (file: string, problems: ReadonlyArray<FileProblem>): string =>
  problems.map(({ line, column, problem }) => `  ${file}:${line}:${column}: ${problem}`).join("\n")
