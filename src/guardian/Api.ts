import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as Schema from "effect/Schema"
import { errorBody } from "../platform/http/ErrorBody.ts"
import { HealthGroup } from "../platform/http/Health.ts"

/** The guardian's statuses, in one place: what a code means to a client. */
export const statusOf = {
  unauthenticated: 401,
  not_certified: 403,
  access_denied: 403,
  session_not_found: 404,
  session_exists: 409,
  body_too_large: 413,
  invalid_request: 422,
  audit_unavailable: 503,
  database_unavailable: 503,
  peer_unavailable: 503
} as const

const failures = {
  unauthenticated: errorBody(statusOf.unauthenticated, "unauthenticated"),
  notCertified: errorBody(statusOf.not_certified, "not_certified"),
  denied: errorBody(statusOf.access_denied, "access_denied"),
  sessionNotFound: errorBody(statusOf.session_not_found, "session_not_found"),
  sessionExists: errorBody(statusOf.session_exists, "session_exists"),
  tooLarge: errorBody(statusOf.body_too_large, "body_too_large"),
  invalid: errorBody(statusOf.invalid_request, "invalid_request"),
  auditUnavailable: errorBody(statusOf.audit_unavailable, "audit_unavailable"),
  databaseUnavailable: errorBody(statusOf.database_unavailable, "database_unavailable"),
  peerUnavailable: errorBody(statusOf.peer_unavailable, "peer_unavailable")
}

const Agent = Schema.String.pipe(Schema.minLength(1), Schema.maxLength(200))
const SessionId = Schema.String.pipe(Schema.minLength(1), Schema.maxLength(200))

/** A certificate in force: when it was issued and until when it holds, ISO 8601 in UTC. */
export const Certified = Schema.Struct({
  valid: Schema.Literal(true),
  agent: Schema.String,
  issued_at: Schema.String,
  expires_at: Schema.String
})

export const SessionStarted = Schema.Struct({ allowed: Schema.Literal(true), reason: Schema.String })

export const SessionEnded = Schema.Struct({ session_id: Schema.String, ended_at: Schema.String })

/** What others ask while an agent works. */
export class WorkGroup extends HttpApiGroup.make("work")
  .add(
    HttpApiEndpoint.post("validate", "/validate")
      .setPayload(Schema.Struct({ agent: Agent }))
      .addSuccess(Certified)
      .addError(failures.unauthenticated)
      .addError(failures.notCertified)
      .addError(failures.denied)
      .addError(failures.tooLarge)
      .addError(failures.invalid)
      .addError(failures.auditUnavailable)
      .addError(failures.databaseUnavailable)
      .addError(failures.peerUnavailable)
  )
  .add(
    HttpApiEndpoint.post("startSession", "/session/start")
      .setPayload(
        Schema.Struct({
          agent: Agent,
          session_id: SessionId,
          metadata: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Unknown }))
        })
      )
      .addSuccess(SessionStarted)
      .addError(failures.unauthenticated)
      .addError(failures.notCertified)
      .addError(failures.denied)
      .addError(failures.sessionExists)
      .addError(failures.tooLarge)
      .addError(failures.invalid)
      .addError(failures.auditUnavailable)
      .addError(failures.databaseUnavailable)
      .addError(failures.peerUnavailable)
  )
  .add(
    HttpApiEndpoint.post("endSession", "/session/end")
      .setPayload(Schema.Struct({ session_id: SessionId, output_file: Schema.optional(Schema.String) }))
      .addSuccess(SessionEnded)
      .addError(failures.unauthenticated)
      .addError(failures.denied)
      .addError(failures.sessionNotFound)
      .addError(failures.tooLarge)
      .addError(failures.invalid)
      .addError(failures.auditUnavailable)
      .addError(failures.databaseUnavailable)
      .addError(failures.peerUnavailable)
  ) {}

export class GuardianApi extends HttpApi.make("guardian").add(HealthGroup) {}
