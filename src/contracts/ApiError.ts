import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Data from "effect/Data"
import * as Schema from "effect/Schema"
import { type ErrorCode, meaningOf, statusOf } from "./ErrorCodes.ts"

/**
 * The body of every answer that is not a success. `error` is for programs: a stable `code`, the `request_id` that the
 * client sent or was given, the `audit_id` of the row where there is one. `detail` is what clients of the system before
 * this one read.
 */
export const errorOfStatus = <
  const Codes extends readonly [ErrorCode, ...ReadonlyArray<ErrorCode>],
  More extends Schema.Struct.Fields
>(
  status: number,
  codes: Codes,
  more: More
) =>
  Schema.Struct({
    error: Schema.Struct({
      code: Schema.Literal(...codes),
      message: Schema.String,
      request_id: Schema.String,
      audit_id: Schema.optional(Schema.String),
      ...more
    }),
    detail: Schema.String
  }).annotations({
    ...HttpApiSchema.annotations({ status }),
    identifier: `Error_${codes.join("_or_")}`,
    description: meaningOf(...codes)
  })

export const errorBody = <const Code extends ErrorCode, More extends Schema.Struct.Fields = Record<never, never>>(
  code: Code,
  more?: More
) => errorOfStatus(statusOf(code), [code], more as More)

/**
 * Makes the class of an error that clients see under `code`. An operation fails with an instance; the contract declares its `body`.
 * `reason` is shown to the client and recorded: it says what failed, with which value. `field` names the part of the request.
 */
export const ApiError = <const Tag extends string, const Code extends ErrorCode>(tag: Tag, code: Code) =>
  class extends Data.TaggedError(tag)<{ readonly reason: string; readonly field?: string | undefined }> {
    static readonly body = errorBody(code)
    readonly code: Code = code
    override get message(): string {
      return this.reason
    }
  }

/** The request cannot be understood. Its row says `INVALID`. */
export class InvalidRequest extends ApiError("InvalidRequest", "invalid_request") {}

export class BodyTooLarge extends ApiError("BodyTooLarge", "body_too_large") {}
