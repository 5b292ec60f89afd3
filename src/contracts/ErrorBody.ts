import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Schema from "effect/Schema"
import { type ErrorCode, meaningOf, statusOf } from "./ErrorCodes.ts"

/**
 * The body of every answer that is not a success. `error` is for programs: a stable `code`, the `request_id` that the
 * client sent or was given, the `audit_id` of the row where there is one. `detail` is what clients of the system before
 * this one read.
 */
export const errorBody = <const Code extends ErrorCode, More extends Schema.Struct.Fields = Record<never, never>>(
  code: Code,
  more?: More
) =>
  Schema.Struct({
    error: Schema.Struct({
      code: Schema.Literal(code),
      message: Schema.String,
      request_id: Schema.String,
      audit_id: Schema.optional(Schema.String),
      ...(more as More)
    }),
    detail: Schema.String
  }).annotations({
    ...HttpApiSchema.annotations({ status: statusOf(code) }),
    identifier: `Error_${code}`,
    description: meaningOf(code)
  })
