import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import { errorBody } from "../platform/http/ErrorBody.ts"
import { HealthGroup } from "../platform/http/Health.ts"
import {
  AgentStatistics,
  AllStatistics,
  Badge,
  Badges,
  CertificateIssued,
  CertificateRevoked,
  Certificates,
  Certified,
  Issuing,
  Jwks,
  parameter,
  SessionAlive,
  SessionEnded,
  SessionStarted,
  Sessions
} from "./Shapes.ts"

/** The guardian's statuses, in one place: what a code means to a client. */
export const statusOf = {
  unauthenticated: 401,
  not_certified: 403,
  access_denied: 403,
  session_not_found: 404,
  certificate_not_found: 404,
  badge_not_found: 404,
  session_exists: 409,
  session_over: 409,
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
  certificateNotFound: errorBody(statusOf.certificate_not_found, "certificate_not_found"),
  badgeNotFound: errorBody(statusOf.badge_not_found, "badge_not_found"),
  sessionExists: errorBody(statusOf.session_exists, "session_exists"),
  sessionOver: errorBody(statusOf.session_over, "session_over"),
  tooLarge: errorBody(statusOf.body_too_large, "body_too_large"),
  invalid: errorBody(statusOf.invalid_request, "invalid_request"),
  auditUnavailable: errorBody(statusOf.audit_unavailable, "audit_unavailable"),
  databaseUnavailable: errorBody(statusOf.database_unavailable, "database_unavailable"),
  peerUnavailable: errorBody(statusOf.peer_unavailable, "peer_unavailable")
}

const Agent = Schema.String.pipe(Schema.minLength(1), Schema.maxLength(200))
const SessionId = Schema.String.pipe(Schema.minLength(1), Schema.maxLength(200))

/** The platform says of every payload that it must be there. */
const bodyMayBeLeftOut = (operation: Readonly<Record<string, unknown>>) => {
  const body = operation["requestBody"]
  return { ...operation, requestBody: { ...(typeof body === "object" ? body : {}), required: false } }
}

const describing = (text: string) => OpenApi.annotations({ description: text })

/** What others ask while an agent works. */
export class WorkGroup extends HttpApiGroup.make("work")
  .add(
    HttpApiEndpoint.post("validate", "/validate")
      .setPayload(Schema.Struct({ agent: Agent }))
      .addSuccess(Certified)
      .addError(failures.notCertified)
      .annotateContext(describing("Is this agent certified now? Needs `read` on `certificates/<agent>`."))
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
      .addError(failures.notCertified)
      .addError(failures.sessionExists)
      .annotateContext(
        describing(
          "Needs `execute` on `sessions/<agent>/<session_id>` and a certificate in force. A name is used once. What could be a " +
            "prompt is left out of the metadata."
        )
      )
  )
  .add(
    HttpApiEndpoint.post("heartbeat", "/session/heartbeat")
      .setPayload(Schema.Struct({ session_id: SessionId }))
      .addSuccess(SessionAlive)
      .addError(failures.notCertified)
      .addError(failures.sessionNotFound)
      .addError(failures.sessionOver)
      .annotateContext(
        describing("Needs `execute` on `sessions/<agent>/<session_id>` and that the agent is still certified.")
      )
  )
  .add(
    HttpApiEndpoint.post("endSession", "/session/end")
      .setPayload(Schema.Struct({ session_id: SessionId, output_file: Schema.optional(Schema.String) }))
      .addSuccess(SessionEnded)
      .addError(failures.sessionNotFound)
      .annotateContext(
        describing("Needs `execute` on `sessions/<agent>/<session_id>`. A repeat answers what the first one did.")
      )
  )
  .addError(failures.unauthenticated)
  .addError(failures.denied)
  .addError(failures.tooLarge)
  .addError(failures.invalid)
  .addError(failures.auditUnavailable)
  .addError(failures.databaseUnavailable)
  .addError(failures.peerUnavailable) {}

const paging = { limit: parameter("1 to 1000"), cursor: parameter("`next` of the page before") }

/** What those who look after agents ask. */
class RegisterGroup extends HttpApiGroup.make("register")
  .add(
    HttpApiEndpoint.post("issue", "/certificates")
      .setPayload(Issuing)
      .addSuccess(CertificateIssued, { status: 201 })
      .annotateContext(describing("Needs `write` on `certificates/<agent>`."))
  )
  .add(
    HttpApiEndpoint.post("revoke", "/certificates/:id/revoke")
      .setPath(Schema.Struct({ id: Schema.String }))
      .setPayload(Schema.Struct({ reason: Schema.optional(Schema.String) }))
      .addSuccess(CertificateRevoked)
      .addError(failures.certificateNotFound)
      .annotate(OpenApi.Transform, bodyMayBeLeftOut)
      .annotateContext(
        describing(
          "Needs `write` on `certificates/<agent>`; of an id that nobody has, on `certificates/<id>`. In effect before the answer; " +
            "the certificate's sessions end with it."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("certificates", "/certificates")
      .setUrlParams(Schema.Struct({ agent: parameter("one agent's"), ...paging }))
      .addSuccess(Certificates)
      .annotateContext(describing("Needs `read` on `certificates`; with `agent`, on `certificates/<agent>`."))
  )
  .add(
    HttpApiEndpoint.get("sessions", "/sessions")
      .setUrlParams(Schema.Struct({ agent: parameter("one agent's"), active: parameter("true | false"), ...paging }))
      .addSuccess(Sessions)
      .annotateContext(describing("Needs `read` on `sessions`; with `agent`, on `sessions/<agent>`."))
  )
  .add(
    HttpApiEndpoint.get("stats", "/stats")
      .setUrlParams(Schema.Struct({ agent: parameter("one agent's"), ...paging }))
      .addSuccess(Schema.Union(AgentStatistics, AllStatistics))
      .annotateContext(describing("Needs `read` on `sessions`; with `agent`, on `sessions/<agent>`."))
  )
  .add(
    HttpApiEndpoint.get("badges", "/badges/:ghost")
      .setPath(Schema.Struct({ ghost: Schema.String }))
      .addSuccess(Badges)
      .annotateContext(describing("Needs `read` on `badges/<ghost>`."))
  )
  .add(
    HttpApiEndpoint.get("badge", "/badges/:ghost/:badge")
      .setPath(Schema.Struct({ ghost: Schema.String, badge: Schema.String }))
      .addSuccess(Badge)
      .addError(failures.badgeNotFound)
      .annotateContext(describing("Needs `read` on `badges/<ghost>/<badge>`."))
  )
  .add(
    HttpApiEndpoint.put("grantBadge", "/badges/:ghost/:badge")
      .setPath(Schema.Struct({ ghost: Schema.String, badge: Schema.String }))
      .addSuccess(Badge)
      .addSuccess(Badge, { status: 201 })
      .annotateContext(describing("Needs `write` on `badges/<ghost>/<badge>`. 200 where the ghost had it already."))
  )
  .add(
    HttpApiEndpoint.del("takeBadge", "/badges/:ghost/:badge")
      .setPath(Schema.Struct({ ghost: Schema.String, badge: Schema.String }))
      .addSuccess(Badge)
      .addError(failures.badgeNotFound)
      .annotateContext(describing("Needs `write` on `badges/<ghost>/<badge>`. Answers the badge that was taken."))
  )
  .addError(failures.unauthenticated)
  .addError(failures.denied)
  .addError(failures.tooLarge)
  .addError(failures.invalid)
  .addError(failures.auditUnavailable)
  .addError(failures.databaseUnavailable)
  .addError(failures.peerUnavailable) {}

class KeysGroup extends HttpApiGroup.make("keys").add(
  HttpApiEndpoint.get("jwks", "/.well-known/jwks.json")
    .addSuccess(Jwks)
    .annotateContext(describing("The public keys of all certificates' signatures (RFC 7517). Needs no token."))
) {}

/** A token is needed for all but health and keys. What the gatekeeper is asked of each stands in its description. */
export class GuardianApi extends HttpApi.make("guardian")
  .add(WorkGroup)
  .add(RegisterGroup)
  .add(KeysGroup)
  .add(HealthGroup) {}
