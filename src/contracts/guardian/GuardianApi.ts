import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import { errorBody } from "../ErrorBody.ts"
import { HealthGroup } from "../Health.ts"
import { parameter } from "../Query.ts"
import {
  AgentName,
  Badge,
  BadgeName,
  Badges,
  CertificateId,
  CertificateIssued,
  CertificateRevoked,
  Certificates,
  Certified,
  GhostName,
  Issuing,
  Jwks,
  SessionAlive,
  SessionEnded,
  SessionId,
  SessionStarted,
  Sessions,
  Statistics
} from "./GuardianSchemas.ts"

const failures = {
  unauthenticated: errorBody("unauthenticated"),
  notCertified: errorBody("not_certified"),
  denied: errorBody("access_denied"),
  sessionNotFound: errorBody("session_not_found"),
  certificateNotFound: errorBody("certificate_not_found"),
  badgeNotFound: errorBody("badge_not_found"),
  sessionExists: errorBody("session_exists"),
  sessionOver: errorBody("session_over"),
  tooLarge: errorBody("body_too_large"),
  invalid: errorBody("invalid_request"),
  auditUnavailable: errorBody("audit_unavailable"),
  databaseUnavailable: errorBody("database_unavailable"),
  peerUnavailable: errorBody("peer_unavailable")
}

const describing = (summary: string, description: string) => OpenApi.annotations({ summary, description })

/** The platform says of every body that it must be there. */
const withOptionalBody = (operation: Readonly<Record<string, unknown>>) => ({
  ...operation,
  requestBody: { ...Object(operation["requestBody"]), required: false }
})

/** What others ask while an agent works. */
export class WorkGroup extends HttpApiGroup.make("work")
  .add(
    HttpApiEndpoint.post("validate", "/validate")
      .setPayload(Schema.Struct({ agent: AgentName }))
      .addSuccess(Certified)
      .addError(failures.notCertified)
      .annotateContext(describing("Is this agent certified now?", "Needs `read` on `certificates/<agent>`."))
  )
  .add(
    HttpApiEndpoint.post("startSession", "/session/start")
      .setPayload(
        Schema.Struct({
          agent: AgentName,
          session_id: SessionId,
          metadata: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Unknown }))
        })
      )
      .addSuccess(SessionStarted)
      .addError(failures.notCertified)
      .addError(failures.sessionExists)
      .annotateContext(
        describing(
          "Starts a session",
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
        describing(
          "Keeps a session from expiring",
          "Needs `execute` on `sessions/<agent>/<session_id>` and that the agent is still certified."
        )
      )
  )
  .add(
    HttpApiEndpoint.post("endSession", "/session/end")
      .setPayload(Schema.Struct({ session_id: SessionId, output_file: Schema.optional(Schema.String) }))
      .addSuccess(SessionEnded)
      .addError(failures.sessionNotFound)
      .annotateContext(
        describing(
          "Ends a session",
          "Needs `execute` on `sessions/<agent>/<session_id>`. A repeat answers what the first one did."
        )
      )
  )
  .addError(failures.unauthenticated)
  .addError(failures.denied)
  .addError(failures.tooLarge)
  .addError(failures.invalid)
  .addError(failures.auditUnavailable)
  .addError(failures.databaseUnavailable)
  .addError(failures.peerUnavailable)
  .annotate(OpenApi.Description, "What others ask while an agent works.") {}

const paging = { limit: parameter("1 to 1000"), cursor: parameter("`next` of the page before") }

/** What those who look after agents ask. */
class RegisterGroup extends HttpApiGroup.make("register")
  .add(
    HttpApiEndpoint.post("issue", "/certificates")
      .setPayload(Issuing)
      .addSuccess(CertificateIssued, { status: 201 })
      .addError(failures.tooLarge)
      .annotateContext(describing("Issues a certificate", "Needs `write` on `certificates/<agent>`."))
  )
  .add(
    HttpApiEndpoint.post("revoke", "/certificates/:id/revoke")
      .setPath(Schema.Struct({ id: CertificateId }))
      .setPayload(Schema.Struct({ reason: Schema.optional(Schema.String) }))
      .addSuccess(CertificateRevoked)
      .addError(failures.certificateNotFound)
      .addError(failures.tooLarge)
      .annotate(OpenApi.Transform, withOptionalBody)
      .annotateContext(
        describing(
          "Revokes a certificate",
          "Needs `write` on `certificates/<agent>`; of an id that nobody has, on `certificates/<id>`. In effect before the answer; " +
            "the certificate's sessions end with it."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("certificates", "/certificates")
      .setUrlParams(Schema.Struct({ agent: parameter("one agent's"), ...paging }))
      .addSuccess(Certificates)
      .annotateContext(
        describing(
          "All certificates, or one agent's",
          "Needs `read` on `certificates`; with `agent`, on `certificates/<agent>`."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("sessions", "/sessions")
      .setUrlParams(Schema.Struct({ agent: parameter("one agent's"), active: parameter("true | false"), ...paging }))
      .addSuccess(Sessions)
      .annotateContext(
        describing("Sessions, newest first", "Needs `read` on `sessions`; with `agent`, on `sessions/<agent>`.")
      )
  )
  .add(
    HttpApiEndpoint.get("stats", "/stats")
      .setUrlParams(Schema.Struct({ agent: parameter("one agent's"), ...paging }))
      .addSuccess(Statistics)
      .annotateContext(
        describing(
          "Counts of an agent's sessions, or of all agents'",
          "Needs `read` on `sessions`; with `agent`, on `sessions/<agent>`."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("badges", "/badges/:ghost")
      .setPath(Schema.Struct({ ghost: GhostName }))
      .addSuccess(Badges)
      .annotateContext(describing("A ghost's badges", "Needs `read` on `badges/<ghost>`."))
  )
  .add(
    HttpApiEndpoint.get("badge", "/badges/:ghost/:badge")
      .setPath(Schema.Struct({ ghost: GhostName, badge: BadgeName }))
      .addSuccess(Badge)
      .addError(failures.badgeNotFound)
      .annotateContext(describing("Has the ghost this badge?", "Needs `read` on `badges/<ghost>/<badge>`."))
  )
  .add(
    HttpApiEndpoint.put("grantBadge", "/badges/:ghost/:badge")
      .setPath(Schema.Struct({ ghost: GhostName, badge: BadgeName }))
      .addSuccess(Badge)
      .addSuccess(Badge, { status: 201 })
      .annotateContext(
        describing("Grants a badge", "Needs `write` on `badges/<ghost>/<badge>`. 200 where the ghost had it already.")
      )
  )
  .add(
    HttpApiEndpoint.del("takeBadge", "/badges/:ghost/:badge")
      .setPath(Schema.Struct({ ghost: GhostName, badge: BadgeName }))
      .addSuccess(Badge)
      .addError(failures.badgeNotFound)
      .annotateContext(
        describing("Takes a badge", "Needs `write` on `badges/<ghost>/<badge>`. Answers the badge that was taken.")
      )
  )
  .addError(failures.unauthenticated)
  .addError(failures.denied)
  .addError(failures.invalid)
  .addError(failures.auditUnavailable)
  .addError(failures.databaseUnavailable)
  .addError(failures.peerUnavailable)
  .annotate(OpenApi.Description, "What those who look after agents ask.") {}

class KeysGroup extends HttpApiGroup.make("keys")
  .add(
    HttpApiEndpoint.get("jwks", "/.well-known/jwks.json")
      .addSuccess(Jwks)
      .annotateContext(
        describing(
          "The keys that verify certificates",
          "The public keys of all certificates' signatures (RFC 7517). Needs no token."
        )
      )
  )
  .annotate(OpenApi.Description, "What others verify certificates with.") {}

/** A token is needed for all but health and keys. What the gatekeeper is asked of each stands in its description. */
export class GuardianApi extends HttpApi.make("guardian")
  .add(WorkGroup)
  .add(RegisterGroup)
  .add(KeysGroup)
  .add(HealthGroup)
  .annotate(OpenApi.Description, "Are you certified, and still valid? Certificates, sessions and badges of agents.") {}
