import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
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
