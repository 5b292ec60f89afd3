import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Data from "effect/Data"
import { type ErrorCode, statusOf } from "../../contracts/ErrorCodes.ts"
import { jsonTextResponse } from "./JsonResponse.ts"

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

/** A request that is answered with an error of the contract. Its row, where there is one, is `auditId`. */
export class Refusal extends Data.TaggedError("Refusal")<{
  readonly code: ErrorCode
  readonly message: string
  readonly auditId?: string | undefined
  /** By default the status of the code. */
  readonly status?: number
  readonly detail?: string
  readonly more?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string>>
}> {}

/** The `WWW-Authenticate` header of a 401. RFC 6750, section 3: a request without credentials gets no error code. */
export const bearerChallenge = (problem: string | undefined): Readonly<Record<string, string>> => ({
  "www-authenticate":
    problem === undefined
      ? 'Bearer realm="gravitas"'
      : `Bearer realm="gravitas", error="invalid_token", error_description="${problem.replace(/[^ !#-[\]-~]/g, "'")}"`
})

export const refusalResponse = (
  { auditId, code, detail, headers, message, more, status = statusOf(code) }: Refusal,
  requestId: string
): HttpServerResponse.HttpServerResponse =>
  errorResponse({
    status,
    code,
    message,
    requestId,
    ...(detail === undefined ? {} : { detail }),
    ...(more === undefined ? {} : { more }),
    ...(auditId === undefined ? {} : { auditId }),
    headers: {
      ...(status === 503 ? { "retry-after": "1" } : {}),
      ...(auditId === undefined ? {} : { "x-audit-id": auditId }),
      ...headers
    }
  })
