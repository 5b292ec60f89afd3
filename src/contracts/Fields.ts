import * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { parseInstant } from "../domain/Rfc3339.ts"
import { ghostProblem, nameProblem, pathProblem } from "../domain/Spelling.ts"
import { lengthProblem, textProblem } from "../domain/Text.ts"

/** Messages of these schemas complete a sentence that begins with the field's name: `"agent" must not be empty`. */
const isText = { message: () => "must be a text" }

/**
 * Checks a value when the service decodes it, not when a client encodes it: the service answers and records a request that is not
 * valid. A client that checked it would fail before it sends the request, and would count that as a failure of the service.
 * `problem` completes a sentence that begins with the field's name.
 */
export const checkedByService = <A>(schema: Schema.Schema<A>, problem: (value: A) => string | undefined) =>
  Schema.transformOrFail(schema, Schema.typeSchema(schema), {
    strict: true,
    decode: (value, _, ast) => {
      const found = problem(value)
      return found === undefined
        ? ParseResult.succeed(value)
        : ParseResult.fail(new ParseResult.Type(ast, value, found))
    },
    encode: (value) => ParseResult.succeed(value)
  })

const checked =
  (problem: (text: string, limit: number) => string | undefined) =>
  (maximum: number, options: { readonly description?: string; readonly examples?: readonly [string] } = {}) =>
    checkedByService(
      Schema.String.annotations({
        ...isText,
        ...options,
        jsonSchema: { type: "string", minLength: 1, maxLength: maximum, ...options }
      }),
      (text) => problem(text, maximum)
    )

/** A text that is recorded or decided on: not empty, well-formed, without control characters. */
export const Text = checked(textProblem)

/** A name that is one segment of a resource. */
export const Name = checked(nameProblem)

/** An action, a resource, or a name that is the last part of a resource and may have segments of its own: it has one spelling. */
export const PathName = checked(pathProblem)

/** A name of a ghost, as a token may have it. */
export const GhostName = checked(ghostProblem)

/** A text that is stored as it is: it may be empty or have several lines. */
export const Note = (maximum: number) =>
  checkedByService(
    Schema.String.annotations({ ...isText, jsonSchema: { type: "string", maxLength: maximum } }),
    (text) =>
      lengthProblem(text, maximum) ??
      (!text.isWellFormed() || text.includes("\0") ? "must not hold NUL or half a surrogate pair" : undefined)
  )

/** How long something is valid: a duration, such as those of `examples`, or a number of seconds. */
export const ValidFor = (examples: string) =>
  Schema.Union(Schema.String, Schema.Number).annotations({
    message: () => ({ message: `must be a duration such as ${examples}, or a number of seconds`, override: true })
  })

/** One value of a query parameter. The decoder gives a repeated parameter as an array. */
export const Parameter = (description: string) =>
  Schema.String.annotations({
    description,
    message: ({ actual }) => (Array.isArray(actual) ? "is given more than once" : "must be a text")
  })

export const OneOf = <const Values extends readonly [string, ...ReadonlyArray<string>]>(values: Values) =>
  Parameter(values.join(" | ")).pipe(
    Schema.filter((text) => values.includes(text) || `must be one of ${values.join(", ")}`, { jsonSchema: {} })
  )

/** A text that stands for a value of another type. `read` returns undefined where it does not, and `problem` says so. */
export const parsed = <A>(
  text: Schema.Schema<string>,
  type: Schema.Schema<A>,
  by: {
    readonly read: (text: string) => A | undefined
    readonly problem: string | ((text: string) => string)
    readonly write: (value: A) => string
  }
) =>
  Schema.transformOrFail(text, type, {
    strict: true,
    decode: (given, _, ast) => {
      const value = by.read(given)
      return value === undefined
        ? ParseResult.fail(
            new ParseResult.Type(ast, given, typeof by.problem === "string" ? by.problem : by.problem(given))
          )
        : ParseResult.succeed(value)
    },
    encode: (value) => ParseResult.succeed(by.write(value))
  })

const notInstant = (given: string): string => {
  const problem = "must be an RFC 3339 time with a zone, such as 2026-01-31T12:00:00Z"
  return / \d\d:\d\d$/.test(given) ? `${problem}; write the + of a zone as %2B in a query` : problem
}

/** An RFC 3339 time with its zone. */
export const Instant = (description: string) =>
  parsed(Parameter(description), Schema.DateTimeUtcFromSelf, {
    read: (text) => Option.getOrUndefined(parseInstant(text)),
    problem: notInstant,
    write: DateTime.formatIso
  })

/** A UUID in lower case that an earlier page of the list returned. */
export const RowId = (description: string) =>
  Parameter(description).pipe(
    Schema.pattern(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, {
      message: () => "must be `next` of the page before",
      jsonSchema: {}
    })
  )

export const maximumPageSize = 1_000

/** The number of rows of a page; `standard` where the query does not say. */
export const Limit = (standard: number, description = `1 to ${maximumPageSize}`) =>
  Schema.optionalWith(
    parsed(Parameter(description), Schema.Number, {
      read: (text) =>
        /^\d{1,6}$/.test(text) && Number(text) >= 1 && Number(text) <= maximumPageSize ? Number(text) : undefined,
      problem: `must be an integer from 1 to ${maximumPageSize}`,
      write: String
    }),
    { default: () => standard }
  )

/** Where the page before ended: base64url of the place of its last row. */
export const encodeCursor = (place: string): string => Encoding.encodeBase64Url(place)

/** A cursor on the wire, decoded to the place that it names; it matches `place`. */
const cursorOf = (encoded: Schema.Schema<string>, place: RegExp) =>
  parsed(encoded, Schema.String, {
    read: (cursor) => {
      const found = Either.getOrUndefined(Encoding.decodeBase64UrlString(cursor))
      return found !== undefined && place.test(found) ? found : undefined
    },
    problem: "is not one that this list gave; ask again without it for the first page",
    write: encodeCursor
  })

export const Cursor = (place: RegExp) => Schema.optional(cursorOf(Parameter("`next` of the page before"), place))

/** `next` of a page: the cursor of the following page; null on the last one. */
export const Next = (place: RegExp) => Schema.NullOr(cursorOf(Schema.String, place))

/** The place of a row that is numbered by PostgreSQL. */
export const rowNumber = /^[1-9]\d{0,17}$/

export const Flag = (description: string) =>
  Schema.optional(
    parsed(Parameter(description), Schema.Boolean, {
      read: (text) => (text === "true" ? true : text === "false" ? false : undefined),
      problem: "must be true or false",
      write: String
    })
  )

/** One page of `rows`, which were asked for with one row more than `limit`: that row tells whether another page follows. */
export const pageOf = <A>(rows: ReadonlyArray<A>, limit: number, place: (row: A) => string) => {
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  return { page, next: rows.length > limit && last !== undefined ? place(last) : null }
}
