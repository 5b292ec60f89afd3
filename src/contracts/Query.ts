import * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { parseInstant } from "../domain/Text.ts"

/** A query parameter, as wide as a URL has it: a repeated one reaches the decoder, which refuses and records it. */
export const parameter = (description: string) =>
  Schema.optional(Schema.Union(Schema.String, Schema.Array(Schema.String)).annotations({ description }))

/** One value of a query parameter. The decoder gives a repeated parameter as an array. */
export const Parameter = (description: string) =>
  Schema.String.annotations({
    description,
    message: ({ actual }) => (Array.isArray(actual) ? "is given more than once" : "must be a text")
  })

/** One of a few values. */
export const OneOf = <const Values extends readonly [string, ...ReadonlyArray<string>]>(values: Values) =>
  Parameter(values.join(" | ")).pipe(
    Schema.filter((text) => values.includes(text) || `must be one of ${values.join(", ")}`, { jsonSchema: {} })
  )

/** An ISO 8601 time with its zone. */
export const Instant = (description: string) =>
  Schema.transformOrFail(Parameter(description), Schema.DateTimeUtcFromSelf, {
    strict: true,
    decode: (text, _, ast) =>
      Option.match(parseInstant(text), {
        onNone: () =>
          ParseResult.fail(
            new ParseResult.Type(ast, text, "must be an ISO 8601 time with a zone, such as 2026-01-31T12:00:00Z")
          ),
        onSome: ParseResult.succeed
      }),
    encode: (time) => ParseResult.succeed(DateTime.formatIso(time))
  })

/** A UUID in lower case that an earlier page of the list returned. */
export const RowId = (description: string) =>
  Parameter(description).pipe(
    Schema.pattern(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, {
      message: () => "must be `next` of the page before",
      jsonSchema: {}
    })
  )

/** Rows of one page, at most. */
export const maximumPageSize = 1_000

/** The number of rows of a page; `standard` where the query does not say. */
export const Limit = (standard: number, description = `1 to ${maximumPageSize}`) =>
  Schema.optionalWith(
    Schema.transformOrFail(Parameter(description), Schema.Number, {
      strict: true,
      decode: (text, _, ast) =>
        /^\d{1,6}$/.test(text) && Number(text) >= 1 && Number(text) <= maximumPageSize
          ? ParseResult.succeed(Number(text))
          : ParseResult.fail(new ParseResult.Type(ast, text, `must be an integer from 1 to ${maximumPageSize}`)),
      encode: (limit) => ParseResult.succeed(String(limit))
    }),
    { default: () => standard }
  )

/** Where the page before ended: base64url of the place of its last row. */
export const encodeCursor = (place: string): string => Encoding.encodeBase64Url(place)

/** A cursor on the wire, decoded to the place that it names; it matches `place`. */
const cursorOf = (encoded: Schema.Schema<string>, place: RegExp) =>
  Schema.transformOrFail(encoded, Schema.String, {
    strict: true,
    decode: (cursor, _, ast) => {
      const found = Either.getOrUndefined(Encoding.decodeBase64UrlString(cursor))
      return found !== undefined && place.test(found)
        ? ParseResult.succeed(found)
        : ParseResult.fail(
            new ParseResult.Type(ast, cursor, "is not one that this list gave; ask again without it for the first page")
          )
    },
    encode: (found) => ParseResult.succeed(encodeCursor(found))
  })

/** The cursor of a query. */
export const Cursor = (place: RegExp) => Schema.optional(cursorOf(Parameter("`next` of the page before"), place))

/** `next` of a page: the cursor of the following page; null on the last one. */
export const Next = (place: RegExp) => Schema.NullOr(cursorOf(Schema.String, place))

/** The place of a row that is numbered by PostgreSQL. */
export const rowNumber = /^[1-9]\d{0,17}$/

/** `true` or `false`. */
export const Flag = (description: string) =>
  Schema.optional(
    Schema.transformOrFail(Parameter(description), Schema.Boolean, {
      strict: true,
      decode: (text, _, ast) =>
        text === "true" || text === "false"
          ? ParseResult.succeed(text === "true")
          : ParseResult.fail(new ParseResult.Type(ast, text, "must be true or false")),
      encode: (flag) => ParseResult.succeed(String(flag))
    })
  )

/** One page of `rows`, which were asked for with one row more than `limit`: that row tells whether another page follows. */
export const pageOf = <A>(rows: ReadonlyArray<A>, limit: number, place: (row: A) => string) => {
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  return { page, next: rows.length > limit && last !== undefined ? place(last) : null }
}
