import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Schema from "effect/Schema"
import { meaningOf } from "./ErrorCodes.ts"
import { jsonTextResponse } from "./JsonResponse.ts"

/**
 * The body of every answer that is not a success. `error` is for programs: a stable `code`, the `request_id` that the
 * client sent or was given, the `audit_id` of the row where there is one. `detail` is what clients of the system before
 * this one read.
 */
export const errorBody = <const Code extends string, More extends Schema.Struct.Fields = Record<never, never>>(
  status: number,
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
    ...HttpApiSchema.annotations({ status }),
    identifier: `Error_${code}`,
    description: meaningOf(code)
  })

export interface ErrorAnswer {
  readonly status: number
  readonly code: string
  /** What happened, where, and what to do about it; shown to the client. */
  readonly message: string
  readonly requestId: string
  readonly auditId?: string
  /** By default the message. */
  readonly detail?: string
  /** Further fields of `error`, which the contract of that code has. */
  readonly more?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * Further fields of `error` on some of a service's paths, for clients that look for them; of the errors that no handler of its own
 * answers.
 */
export type ErrorFields = (status: number, url: string) => Readonly<Record<string, unknown>>

export const noFields: ErrorFields = () => ({})

export const errorText = (
  answer: Pick<ErrorAnswer, "code" | "message" | "requestId" | "auditId" | "detail" | "more">
): string =>
  JSON.stringify({
    error: {
      code: answer.code,
      message: answer.message,
      request_id: answer.requestId,
      ...(answer.auditId === undefined ? {} : { audit_id: answer.auditId }),
      ...answer.more
    },
    detail: answer.detail ?? answer.message
  })

export const errorResponse = (answer: ErrorAnswer): HttpServerResponse.HttpServerResponse =>
  jsonTextResponse(errorText(answer), {
    status: answer.status,
    ...(answer.headers === undefined ? {} : { headers: answer.headers })
  })
