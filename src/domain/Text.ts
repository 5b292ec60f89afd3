import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
const controlCharacter = /[\u0000-\u001f\u007f-\u009f]/

export const hasControlCharacter = (text: string): boolean => controlCharacter.test(text)

/** As PostgreSQL can store it: its text and jsonb hold neither NUL nor half a surrogate pair. */
export const storable = (text: string): string => text.toWellFormed().replaceAll("\0", "\ufffd")

/** Why `text` is too long; completes a sentence that begins with the field's name. Lengths are in UTF-16 code units. */
export const lengthProblem = (text: string, limit: number): string | undefined =>
  text.length > limit ? `has ${text.length} characters; at most ${limit} are allowed` : undefined

/** Why `text` must not be recorded or decided on as it is; completes a sentence that begins with the field's name. */
export const textProblem = (text: string, limit: number): string | undefined => {
  if (text === "") return "must not be empty"
  const tooLong = lengthProblem(text, limit)
  if (tooLong !== undefined) return tooLong
  if (!text.isWellFormed()) return "is not well-formed Unicode"
  return hasControlCharacter(text) ? "must not hold control characters" : undefined
}

/** RFC 3339, the zone not optional: a time without one means another moment on each machine. */
const rfc3339 = /^(\d{4}-\d{2}-\d{2})T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2})$/i

/** Compares with the calendar: JavaScript reads 30 February as 2 March. */
const isDay = (day: string): boolean => {
  const midnight = DateTime.make(`${day}T00:00:00Z`)
  return Option.isSome(midnight) && DateTime.formatIsoDateUtc(midnight.value) === day
}

/** Reads an RFC 3339 time with its zone. */
export const parseInstant = (text: string): Option.Option<DateTime.Utc> => {
  const day = rfc3339.exec(text)?.[1]
  return day === undefined || !isDay(day) ? Option.none() : Option.map(DateTime.make(text), DateTime.toUtc)
}

/** The member of an object; undefined of any other value. */
export const memberOf = (value: unknown, name: string): unknown =>
  Predicate.isReadonlyRecord(value) ? value[name] : undefined

/** Reads a JSON text; None where it is not one. */
export const parseJson = Option.liftThrowable((text: string): unknown => JSON.parse(text))

/** Whether objects and arrays nest in more than `limit` levels. Breadth first, so that depth costs no stack. */
export const isDeeperThan = (value: unknown, limit: number): boolean => {
  let level: ReadonlyArray<unknown> = [value]
  for (let depth = 0; level.length > 0; depth++) {
    const nested = level.filter((one): one is object => typeof one === "object" && one !== null)
    if (nested.length > 0 && depth >= limit) return true
    level = nested.flatMap((one) => Object.values(one))
  }
  return false
}

/** What is wrong in a file, and where; counted from 1. */
export const FileProblem = Schema.Struct({ line: Schema.Number, column: Schema.Number, problem: Schema.String })
export type FileProblem = typeof FileProblem.Type

/** `file:line:column: problem`, a line for each. */
export const problemLines = (file: string, problems: ReadonlyArray<FileProblem>): string =>
  problems.map(({ line, column, problem }) => `  ${file}:${line}:${column}: ${problem}`).join("\n")
