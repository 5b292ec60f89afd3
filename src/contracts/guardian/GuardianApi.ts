import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import { ApiError, BodyTooLarge, errorBody, InvalidRequest } from "../ApiError.ts"
import { describing, optionalBody, unknownFieldsIgnored } from "../Endpoint.ts"
import { HealthGroup } from "../Health.ts"
import * as Schemas from "./GuardianSchemas.ts"

export class SessionNotFound extends ApiError("SessionNotFound", "session_not_found") {}

/** The caller has no session of that name, and several other agents have one. */
export class SessionAmbiguous extends ApiError("SessionAmbiguous", "session_ambiguous") {}

/** The agent started a session of that name before: it uses a name once. */
export class SessionExists extends ApiError("SessionExists", "session_exists") {}

/** The session has ended, so that it cannot be kept alive. */
export class SessionOver extends ApiError("SessionOver", "session_over") {}

export class CertificateNotFound extends ApiError("CertificateNotFound", "certificate_not_found") {}

export class BadgeNotFound extends ApiError("BadgeNotFound", "badge_not_found") {}

const NotCertified = errorBody("not_certified")

/** Errors of every endpoint that needs a token. */
const common = Schema.Union(
  errorBody("unauthenticated"),
  errorBody("access_denied"),
  errorBody("too_many_failures"),
  errorBody("audit_unavailable"),
  errorBody("database_unavailable"),
  errorBody("peer_unavailable")
)

export const validate = HttpApiEndpoint.post("validate", "/validate")
  .setPayload(Schema.Struct({ agent: Schemas.AgentName }))
  .addSuccess(Schemas.Certified)
  .addError(NotCertified)
  .annotateContext(unknownFieldsIgnored)
  .annotateContext(describing("Is this agent certified now?", "Needs `read` on `certificates/<agent>`."))

export const startSession = HttpApiEndpoint.post("startSession", "/session/start")
  .setPayload(Schemas.StartSession)
  .addSuccess(Schemas.SessionStarted)
  .addError(NotCertified)
  .addError(SessionExists.body)
  .annotateContext(unknownFieldsIgnored)
  .annotateContext(
    describing(
      "Starts a session",
      "Needs `execute` on `sessions/<agent>/<session_id>` and a certificate in force. An agent uses a name once. What could be a " +
        "prompt is left out of the metadata."
    )
  )

export const heartbeat = HttpApiEndpoint.post("heartbeat", "/session/heartbeat")
  .setPayload(Schema.Struct(Schemas.namedSession))
  .addSuccess(Schemas.SessionAlive)
  .addError(NotCertified)
  .addError(SessionNotFound.body)
  .addError(SessionAmbiguous.body)
  .addError(SessionOver.body)
  .annotateContext(
    describing(
      "Keeps a session from expiring",
      "Needs `execute` on `sessions/<agent>/<session_id>` and that the agent is still certified. Without `agent` it is the " +
        "caller's own session of that name, else the only one."
    )
  )

export const keepSessions = HttpApiEndpoint.post("keepSessions", "/sessions/keep")
  .setPayload(Schemas.KeepSessions)
  .addSuccess(Schemas.SessionsKept)
  .annotateContext(
    describing(
      "Keeps the sessions of a process from expiring",
      "One heartbeat for many sessions, and which of them are over. Built in for services; others need `execute` on " +
        "`services/sessions`. Not recorded, unless it is malformed or refused."
    )
  )

export const endSession = HttpApiEndpoint.post("endSession", "/session/end")
  .setPayload(Schemas.EndSession)
  .addSuccess(Schemas.SessionEnded)
  .addError(SessionNotFound.body)
  .addError(SessionAmbiguous.body)
  .annotateContext(unknownFieldsIgnored)
  .annotateContext(
    describing(
      "Ends a session",
      "Needs `execute` on `sessions/<agent>/<session_id>`. Without `agent` it is the caller's own session of that name, else " +
        "the only one. A repeat answers what the first one did."
    )
  )

/** Errors of every endpoint that other services ask. */
export const workErrors = Schema.Union(common, BodyTooLarge.body, InvalidRequest.body)

class WorkGroup extends HttpApiGroup.make("work")
  .add(validate)
  .add(startSession)
  .add(heartbeat)
  .add(endSession)
  .addError(workErrors)
  .annotate(OpenApi.Description, "What other services ask while an agent works.") {}

export const issue = HttpApiEndpoint.post("issue", "/certificates")
  .setPayload(Schemas.IssueCertificate)
  .addSuccess(Schemas.CertificateIssued, { status: 201 })
  .addError(BodyTooLarge.body)
  .annotateContext(describing("Issues a certificate", "Needs `write` on `certificates/<agent>`."))

export const revoke = HttpApiEndpoint.post("revoke", "/certificates/:id/revoke")
  .setPath(Schema.Struct({ id: Schemas.CertificateId }))
  .setPayload(Schemas.RevokeCertificate)
  .addSuccess(Schemas.CertificateRevoked)
  .addError(CertificateNotFound.body)
  .addError(BodyTooLarge.body)
  .annotateContext(optionalBody)
  .annotateContext(
    describing(
      "Revokes a certificate",
      "Needs `write` on `certificates/<agent>`; of an unknown id, on `certificates/<id>`. In effect before the answer; " +
        "the certificate's sessions end with it."
    )
  )

export const certificates = HttpApiEndpoint.get("certificates", "/certificates")
  .setUrlParams(Schemas.CertificatesQuery)
  .addSuccess(Schemas.Certificates)
  .annotateContext(
    describing(
      "All certificates, or one agent's",
      "Needs `read` on `certificates`; with `agent`, on `certificates/<agent>`."
    )
  )

export const sessions = HttpApiEndpoint.get("sessions", "/sessions")
  .setUrlParams(Schemas.SessionsQuery)
  .addSuccess(Schemas.Sessions)
  .annotateContext(
    describing("Sessions, newest first", "Needs `read` on `sessions`; with `agent`, on `sessions/<agent>`.")
  )

export const stats = HttpApiEndpoint.get("stats", "/stats")
  .setUrlParams(Schemas.StatisticsQuery)
  .addSuccess(Schemas.Statistics)
  .annotateContext(
    describing(
      "Counts of an agent's sessions, or of all agents'",
      "Needs `read` on `sessions`; with `agent`, on `sessions/<agent>`."
    )
  )

export const badges = HttpApiEndpoint.get("badges", "/badges/:ghost")
  .setPath(Schema.Struct({ ghost: Schemas.GhostName }))
  .addSuccess(Schemas.Badges)
  .annotateContext(describing("A ghost's badges", "Needs `read` on `badges/<ghost>`."))

const BadgePath = Schema.Struct({ ghost: Schemas.GhostName, badge: Schemas.BadgeName })

export const badge = HttpApiEndpoint.get("badge", "/badges/:ghost/:badge")
  .setPath(BadgePath)
  .addSuccess(Schemas.Badge)
  .addError(BadgeNotFound.body)
  .annotateContext(describing("Has the ghost this badge?", "Needs `read` on `badges/<ghost>/<badge>`."))

export const grantBadge = HttpApiEndpoint.put("grantBadge", "/badges/:ghost/:badge")
  .setPath(BadgePath)
  .addSuccess(Schemas.Badge)
  .addSuccess(Schemas.Badge, { status: 201 })
  .annotateContext(
    describing("Grants a badge", "Needs `write` on `badges/<ghost>/<badge>`. 200 where the ghost had it already.")
  )

export const takeBadge = HttpApiEndpoint.del("takeBadge", "/badges/:ghost/:badge")
  .setPath(BadgePath)
  .addSuccess(Schemas.Badge)
  .addError(BadgeNotFound.body)
  .annotateContext(
    describing("Takes a badge", "Needs `write` on `badges/<ghost>/<badge>`. Answers the badge that was taken.")
  )

class RegisterGroup extends HttpApiGroup.make("register")
  .add(issue)
  .add(revoke)
  .add(certificates)
  .add(sessions)
  .add(stats)
  .add(badges)
  .add(badge)
  .add(grantBadge)
  .add(takeBadge)
  .addError(common)
  .addError(InvalidRequest.body)
  .annotate(OpenApi.Description, "What the operators of agents ask.") {}

/** What other services ask in their own name. */
class ServicesGroup extends HttpApiGroup.make("services")
  .add(keepSessions)
  .addError(workErrors)
  .annotate(OpenApi.Description, "What other services ask in their own name.") {}

class KeysGroup extends HttpApiGroup.make("keys")
  .add(
    HttpApiEndpoint.get("jwks", "/.well-known/jwks.json")
      .addSuccess(Schemas.Jwks)
      .annotateContext(
        describing(
          "The keys that verify certificates",
          "The public keys of all certificates' signatures (RFC 7517). Needs no token."
        )
      )
  )
  .annotate(OpenApi.Description, "What others verify certificates with.") {}

/** Every endpoint needs a token, except health and keys. Its description names the permission that the gatekeeper is asked for. */
export class GuardianApi extends HttpApi.make("guardian")
  .add(WorkGroup)
  .add(RegisterGroup)
  .add(ServicesGroup)
  .add(KeysGroup)
  .add(HealthGroup)
  .annotate(OpenApi.Description, "Are you certified, and still valid? Certificates, sessions and badges of agents.") {}
