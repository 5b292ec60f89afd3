import * as Data from "effect/Data"
import { errorBody } from "./ErrorBody.ts"
import type { ErrorCode } from "./ErrorCodes.ts"

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

/** The body has more bytes than the endpoint reads. */
export class BodyTooLarge extends ApiError("BodyTooLarge", "body_too_large") {}
