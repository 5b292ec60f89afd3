import * as Schema from "effect/Schema"
import type { AuditUnavailable } from "../../audit/AuditUnavailable.ts"
import { errorTypeOf, type RefusalCode, refusalCodes, statusOfRefusal } from "../../contracts/router/RouterErrors.ts"
import { bearerChallenge, Refusal } from "../../platform/http/ErrorResponse.ts"
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

/** As the platform answers it: with OpenAI's status and fields. */
export const toRefusal = ({ auditId, code, param, reason, retryAfterMillis }: RouteRefused): Refusal =>
  new Refusal({
    code,
    message: reason,
    auditId,
    status: statusOfRefusal(code),
    more: { type: errorTypeOf(code), param: param ?? null },
    headers: {
      ...(code === "unauthenticated" ? bearerChallenge(undefined) : {}),
      ...(retryAfterMillis === undefined
        ? {}
        : { "retry-after": String(Math.max(1, Math.ceil(retryAfterMillis / 1_000))) })
    }
  })

/** The refusal of a request that cannot be recorded: there is no decision without a record. */
export const refusalOfTrail = (error: AuditUnavailable): RouteRefused =>
  refused({ code: "audit_unavailable", reason: error.message })
