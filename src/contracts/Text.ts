import * as Schema from "effect/Schema"
import { lengthProblem, nameProblem, pathProblem, textProblem } from "../domain/Text.ts"

/**
 * Messages of these schemas complete a sentence that begins with the field's name: the decoder of requests writes
 * `"agent" must not be empty`.
 */
const isText = { message: () => "must be a text" }

const checked =
  (problem: (text: string, limit: number) => string | undefined) => (maximum: number, description?: string) =>
    Schema.String.annotations({ ...isText, ...(description === undefined ? {} : { description }) }).pipe(
      Schema.filter((text) => problem(text, maximum) ?? true, { jsonSchema: { minLength: 1, maxLength: maximum } })
    )

/** A text that is recorded or decided on: not empty, well-formed, without control characters. */
export const Text = checked(textProblem)

/** A name that is one segment of a resource. */
export const Name = checked(nameProblem)

/** A name that is the last part of a resource, and may have segments of its own. */
export const PathName = checked(pathProblem)

/** A text that is stored as it is: it may be empty or have several lines. */
export const Note = (maximum: number) =>
  Schema.String.annotations(isText).pipe(
    Schema.filter(
      (text) =>
        lengthProblem(text, maximum) ??
        (!text.isWellFormed() || text.includes("\0") ? "must not hold NUL or half a surrogate pair" : true),
      { jsonSchema: { maxLength: maximum } }
    )
  )
