import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { lengthProblem, nameProblem, pathProblem, textProblem } from "../domain/Text.ts"

/**
 * Messages of these schemas complete a sentence that begins with the field's name: the decoder of requests writes
 * `"agent" must not be empty`.
 */
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

/** A name that is the last part of a resource, and may have segments of its own. */
export const PathName = checked(pathProblem)

/** A text that is stored as it is: it may be empty or have several lines. */
export const Note = (maximum: number) =>
  checkedByService(
    Schema.String.annotations({ ...isText, jsonSchema: { type: "string", maxLength: maximum } }),
    (text) =>
      lengthProblem(text, maximum) ??
      (!text.isWellFormed() || text.includes("\0") ? "must not hold NUL or half a surrogate pair" : undefined)
  )
