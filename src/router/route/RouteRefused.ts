import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Schema from "effect/Schema"
import type { AuditUnavailable } from "../../audit/AuditUnavailable.ts"
import { errorTypeOf, type RefusalCode, refusalCodes, statusOfRefusal } from "../../contracts/router/RouterErrors.ts"
import type { FailureKind, ProviderFailure } from "../providers/Provider.ts"

/** A request is refused. The client sees the reason. */
export class RouteRefused extends Schema.TaggedError<RouteRefused>()("RouteRefused", {
  code: Schema.Literal(...refusalCodes),
  reason: Schema.String,
  /** The field that is wrong, as OpenAI's errors name it. */
  param: Schema.optional(Schema.String),
  /** The row that records the refusal. */
  auditId: Schema.optional(Schema.String),
  retryAfterMillis: Schema.optional(Schema.Number)
}) {
  override get message(): string {
    return this.reason
  }
}

const codes: Readonly<Record<FailureKind, RefusalCode>> = {
  unreachable: "provider_failed",
  timed_out: "provider_timeout",
  broken: "provider_failed",
  empty: "provider_failed",
  misconfigured: "provider_misconfigured",
  busy: "rate_limited",
  rejected: "provider_rejected",
  cooling: "provider_unavailable",
  unavailable: "provider_unavailable"
}

export interface RefusalFields {
  readonly code: RefusalCode
  readonly reason: string
  readonly param?: string | null | undefined
  readonly auditId?: string | undefined
  readonly retryAfterMillis?: number | undefined
}

export const refused = ({ auditId, code, param, reason, retryAfterMillis }: RefusalFields): RouteRefused =>
  new RouteRefused({
    code,
    reason,
    ...(typeof param === "string" ? { param } : {}),
    ...(auditId === undefined ? {} : { auditId }),
    ...(retryAfterMillis === undefined ? {} : { retryAfterMillis })
  })

export const refusalOfFailure = (failure: ProviderFailure): RouteRefused =>
  refused({ code: codes[failure.kind], reason: failure.message, retryAfterMillis: failure.retryAfterMillis })

/** OpenAI's error body; clients of the former system read `detail`. */
export const refusalBody = (refusal: RouteRefused, requestId: string) => ({
  error: {
    message: refusal.reason,
    type: errorTypeOf(refusal.code),
    param: refusal.param ?? null,
    code: refusal.code,
    request_id: requestId,
    ...(refusal.auditId === undefined ? {} : { audit_id: refusal.auditId })
  },
  detail: refusal.reason
})

export const refusalResponse = (refusal: RouteRefused, requestId: string): HttpServerResponse.HttpServerResponse => {
  const status = statusOfRefusal(refusal.code)
  const pause = refusal.retryAfterMillis ?? (status === 503 ? 1_000 : undefined)
  return HttpServerResponse.unsafeJson(refusalBody(refusal, requestId), {
    status,
    headers: {
      ...(status === 401 ? { "www-authenticate": 'Bearer realm="gravitas"' } : {}),
      ...(pause === undefined ? {} : { "retry-after": String(Math.max(1, Math.ceil(pause / 1_000))) }),
      ...(refusal.auditId === undefined ? {} : { "x-audit-id": refusal.auditId })
    }
  })
}

/** The refusal of a request that cannot be recorded: there is no decision without a record. */
export const refusalOfTrail = (error: AuditUnavailable): RouteRefused =>
  refused({ code: "audit_unavailable", reason: error.message })
