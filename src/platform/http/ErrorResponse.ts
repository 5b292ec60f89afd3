import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Data from "effect/Data"
import { type ErrorCode, statusOf } from "../../contracts/ErrorCodes.ts"
import { type ServiceName, titleOf } from "../../domain/Service.ts"

/** A complete response with a JSON body, for either lane (FastLane.ts). */
export interface JsonResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

/** Makes a response; its status is 200 by default. */
export const jsonResponse = (
  text: string,
  { headers, status = 200 }: Partial<Pick<JsonResponse, "status" | "headers">> = {}
): JsonResponse => ({
  status,
  headers: { ...headers, "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) },
  text
})

/** Encodes for the platform's server. Given a text, Node sends head and body in one packet; the platform's own JSON leaves in two. */
export const toServerResponse = ({ headers, status, text }: JsonResponse): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.raw(text, { status, headers })

export interface ErrorAnswer {
  readonly status: number
  readonly code: string
  /** What happened, where, and what to do about it; shown to the client. */
  readonly message: string
  readonly requestId: string
  readonly auditId?: string | undefined
  /** By default the message. */
  readonly detail?: string | undefined
  /** Further fields of `error`, which the contract of that code has. */
  readonly more?: Readonly<Record<string, unknown>> | undefined
  readonly headers?: Readonly<Record<string, string>>
}

/** Further fields of `error` on some of a service's paths, in errors that no handler of the service answers. */
export type ErrorFields = (status: number, url: string) => Readonly<Record<string, unknown>>

export const noFields: ErrorFields = () => ({})

export const errorText = ({ code, message, ...given }: Omit<ErrorAnswer, "status" | "headers">): string =>
  JSON.stringify({
    error: { code, message, request_id: given.requestId, audit_id: given.auditId, ...given.more },
    detail: given.detail ?? message
  })

/** The answer of a service that stops to a new request. */
export const shuttingDown = (service: ServiceName, requestId: string, more: ErrorAnswer["more"]): ErrorAnswer => ({
  status: 503,
  code: "shutting_down",
  message: `${titleOf(service)} is shutting down; send the request to another instance or again later`,
  requestId,
  more,
  headers: { "retry-after": "1" }
})

export const errorJson = (answer: ErrorAnswer): JsonResponse => jsonResponse(errorText(answer), answer)

export const errorResponse = (answer: ErrorAnswer): HttpServerResponse.HttpServerResponse =>
  toServerResponse(errorJson(answer))

/** An error of the contract. The row of the request, where there is one, is `auditId`. */
export interface RefusalFields extends Omit<ErrorAnswer, "status" | "requestId"> {
  readonly code: ErrorCode
  /** By default the status of the code. */
  readonly status?: number
}

/** A request that is answered with an error of the contract. */
export class Refusal extends Data.TaggedError("Refusal")<RefusalFields> {}

/** The `WWW-Authenticate` header of a 401. RFC 6750, section 3: a request without credentials gets no error code. */
export const bearerChallenge = (problem: string | undefined): Readonly<Record<string, string>> => ({
  "www-authenticate":
    problem === undefined
      ? 'Bearer realm="gravitas"'
      : `Bearer realm="gravitas", error="invalid_token", error_description="${problem.replace(/[^ !#-[\]-~]/g, "'")}"`
})

/** The answer to a refused request. `X-Audit-Id` names its row, as the body does. */
export const refusalJson = (
  { auditId, code, detail, headers, message, more, status = statusOf(code) }: RefusalFields,
  requestId: string
): JsonResponse =>
  errorJson({
    status,
    code,
    message,
    requestId,
    detail,
    more,
    auditId,
    headers: {
      ...(status === 503 || code === "too_many_failures" ? { "retry-after": "1" } : {}),
      ...(auditId === undefined ? {} : { "x-audit-id": auditId }),
      ...headers
    }
  })

export const refusalResponse = (refusal: RefusalFields, requestId: string): HttpServerResponse.HttpServerResponse =>
  toServerResponse(refusalJson(refusal, requestId))
