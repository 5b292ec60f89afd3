import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import { errorBody } from "../ApiError.ts"
import { describing, optionalBody } from "../Endpoint.ts"
import { HealthGroup } from "../Health.ts"
import * as Access from "./AccessSchemas.ts"
import * as AuthZen from "./AuthZenSchemas.ts"
import { IngestAnswer, IngestBody, NothingRecorded } from "./IngestSchemas.ts"
import * as Stop from "./StopSchemas.ts"
import { IssueToken, TokenAnswer, TokenError, TokenIssued, TokenRequest } from "./TokenSchemas.ts"
import { EventsPage, EventsParams, PipelineParams, PipelineReport } from "./TrailSchemas.ts"

/** Errors of every endpoint that needs a token. */
const common = Schema.Union(
  errorBody("unauthenticated"),
  errorBody("keys_unavailable"),
  errorBody("access_denied", Access.deniedBy),
  errorBody("too_many_failures"),
  errorBody("audit_unavailable")
)

const tooLarge = errorBody("body_too_large")
const invalid = errorBody("invalid_request")
const bodyErrors = Schema.Union(common, tooLarge, invalid)
const evaluationErrors = Schema.Union(common, tooLarge, errorBody("bad_request"))
const trailUnreachable = errorBody("trail_unreachable")

export const validate = HttpApiEndpoint.post("validate", "/validate")
  .setPayload(Access.ValidateRequest)
  .addSuccess(Access.ValidateAnswer)
  .addError(bodyErrors)
  .annotateContext(
    describing(
      "May the bearer do this?",
      "May the bearer of this token do `action` on `resource`? Every answer has its row in the trail."
    )
  )

class DecisionsGroup extends HttpApiGroup.make("decisions")
  .add(validate)
  .annotate(OpenApi.Description, "Who may do what.") {}

export const events = HttpApiEndpoint.get("events", "/audit/events")
  .setUrlParams(EventsParams)
  .addSuccess(EventsPage)
  .addError(common)
  .addError(invalid)
  .addError(trailUnreachable)
  .annotateContext(
    describing(
      "Reads the trail",
      "The trail, newest first. Needs `read` on `audit/events`; the reading itself is recorded."
    )
  )

export const pipeline = HttpApiEndpoint.get("pipeline", "/audit/pipeline")
  .setUrlParams(PipelineParams)
  .addSuccess(PipelineReport)
  .addError(common)
  .addError(invalid)
  .annotateContext(
    describing(
      "Is anything missing from the trail?",
      "Whether anything is missing: the counts of each source, newest first. Needs `read` on `audit/pipeline`; recorded."
    )
  )

class TrailGroup extends HttpApiGroup.make("trail")
  .add(events)
  .add(pipeline)
  .annotate(OpenApi.Description, "What was recorded.") {}

export const policy = HttpApiEndpoint.get("policy", "/policy")
  .addSuccess(Access.PolicyView)
  .addError(common)
  .annotateContext(describing("The policy in force", "The policy in force. Needs `read` on `policy`; recorded."))

export const reload = HttpApiEndpoint.post("reload", "/policy/reload")
  .addSuccess(Access.ReloadAnswer)
  .addError(common)
  .addError(errorBody("policy_refused", Access.policyProblems))
  .annotateContext(
    describing(
      "Reads the policy's file again",
      "Reads the policy's file again. A file with a problem is refused, and the policy in force stays. Needs `write` on `policy`; recorded."
    )
  )

export const explain = HttpApiEndpoint.post("explain", "/explain")
  .setPayload(Access.ExplainRequest)
  .addSuccess(Access.ExplainAnswer)
  .addError(bodyErrors)
  .annotateContext(
    describing(
      "Why would it be allowed or denied?",
      "What `/validate` would decide, and every rule that was considered. About another ghost it needs `read` on `policy`. Recorded as a reading, not as a decision."
    )
  )

class PolicyGroup extends HttpApiGroup.make("policy")
  .add(policy)
  .add(reload)
  .add(explain)
  .annotate(OpenApi.Description, "What decides.") {}

export const evaluation = HttpApiEndpoint.post("evaluation", "/access/v1/evaluation")
  .setPayload(AuthZen.EvaluationRequest)
  .addSuccess(AuthZen.EvaluationAnswer)
  .addError(evaluationErrors)
  .annotateContext(
    describing(
      "AuthZEN: may the subject do this?",
      "OpenID AuthZEN 1.0: may the subject do it? The caller needs `execute` on `access/evaluation`. The caller's permission and the decision have a row each."
    )
  )

export const evaluations = HttpApiEndpoint.post("evaluations", "/access/v1/evaluations")
  .setPayload(AuthZen.EvaluationsRequest)
  .addSuccess(AuthZen.EvaluationsAnswer)
  .addError(evaluationErrors)
  .annotateContext(
    describing(
      "AuthZEN: several questions at once",
      "OpenID AuthZEN 1.0: several evaluations at once, each with its row. An evaluation may leave out what the request says beside `evaluations`."
    )
  )

export const configuration = HttpApiEndpoint.get("configuration", "/.well-known/authzen-configuration")
  .addSuccess(AuthZen.Configuration)
  .annotateContext(
    describing("AuthZEN: where the endpoints are", "OpenID AuthZEN 1.0: where the endpoints are. Needs no token.")
  )

class AuthZenGroup extends HttpApiGroup.make("authzen")
  .add(evaluation)
  .add(evaluations)
  .add(configuration)
  .annotate(OpenApi.Description, "The same decisions, by the protocol OpenID AuthZEN 1.0.") {}

const StoreAnswer = Schema.Struct({
  value: Schema.optional(Schema.Unknown),
  failure: Schema.optional(Schema.Unknown)
}).annotations({ description: "The answer of the store." })

export const record = HttpApiEndpoint.post("record", "/audit/events")
  .setPayload(IngestBody)
  .addSuccess(IngestAnswer)
  .addError(bodyErrors)
  .addError(NothingRecorded)
  .addError(trailUnreachable)
  .annotateContext(
    describing(
      "Records events of another program",
      "Records events of another program, each once under the key that it gave. Needs `write` on `audit/events`. 503: send " +
        "the same batch again."
    )
  )

export const store = HttpApiEndpoint.post("store", "/audit/store/:operation")
  .setPath(Schema.Struct({ operation: Schema.String.annotations({ description: "of the trail's store" }) }))
  .setPayload(Schema.Unknown)
  .addSuccess(StoreAnswer)
  .addError(bodyErrors)
  .addError(errorBody("source_of_another"))
  .annotateContext(
    describing(
      "The trail of another Gravitas process",
      "The trail of guardian and router in processes of their own; spoken by the same version at both ends, and no API for others. " +
        "Needs `write` on `audit/store`."
    )
  )

class IngestGroup extends HttpApiGroup.make("ingest")
  .add(record)
  .add(store)
  .annotate(OpenApi.Description, "Events that other programs record.") {}

export const stopGhost = HttpApiEndpoint.post("stopGhost", "/ghosts/:ghost/stop")
  .setPath(Stop.GhostPath)
  .setPayload(Stop.StopRequest)
  .addSuccess(Stop.StopStored)
  .addSuccess(Stop.StopKept, { status: 202 })
  .addError(common)
  .addError(tooLarge)
  .addError(invalid)
  .addError(errorBody("stop_not_kept"))
  .annotateContext(optionalBody)
  .annotateContext(
    describing(
      "Stops a ghost",
      "Refuses its tokens, revokes its certificates, ends its sessions and its answers in flight, everywhere within 5 seconds. " +
        "Needs `write` on `ghosts/<ghost>`; recorded."
    )
  )

export const resumeGhost = HttpApiEndpoint.post("resumeGhost", "/ghosts/:ghost/resume")
  .setPath(Stop.GhostPath)
  .setPayload(Stop.StopRequest)
  .addSuccess(Stop.StopStored)
  .addSuccess(Stop.StopKept, { status: 202 })
  .addError(common)
  .addError(tooLarge)
  .addError(invalid)
  .addError(errorBody("stop_not_kept"))
  .annotateContext(optionalBody)
  .annotateContext(
    describing(
      "Resumes a ghost",
      "Accepts tokens and certificates that were issued after the stop; earlier ones stay refused. Needs `write` on " +
        "`ghosts/<ghost>`; recorded."
    )
  )

export const feed = HttpApiEndpoint.get("feed", "/stops")
  .setUrlParams(Stop.FeedParams)
  .addSuccess(Stop.FeedMessage)
  .addError(invalid)
  .addError(common)
  .annotateContext(
    describing(
      "The feed of stops",
      "Every stop and resume, and the version of the policy in force; followed by each process without the gatekeeper. Built in for " +
        "services; others need `read` on `services/stops`."
    )
  )

class StopsGroup extends HttpApiGroup.make("stops")
  .add(stopGhost)
  .add(resumeGhost)
  .annotate(OpenApi.Description, "Stopping a ghost.") {}

class FeedGroup extends HttpApiGroup.make("feed")
  .add(feed)
  .annotate(OpenApi.Description, "What the other services follow.") {}

export const token = HttpApiEndpoint.post("token", "/oauth/token")
  .setPayload(TokenRequest)
  .addSuccess(TokenAnswer)
  .addError(TokenError, { status: 400 })
  .addError(tooLarge)
  .addError(errorBody("audit_unavailable"))
  .annotateContext(
    describing(
      "Tokens of services",
      "OAuth 2.0 for services in processes of their own: a token by a signed assertion (RFC 7523), and a caller's token exchanged for one " +
        "that one peer can use (RFC 8693). 401 and 503 have the same body. Recorded."
    )
  )

export const issueToken = HttpApiEndpoint.post("issueToken", "/tokens")
  .setPayload(IssueToken)
  .addSuccess(TokenIssued, { status: 201 })
  .addError(bodyErrors)
  .addError(errorBody("ghost_stopped"))
  .addError(errorBody("signing_unavailable"))
  .annotateContext(
    describing(
      "A token for a ghost",
      "A short-lived token that names a ghost, for an administrator to hand on. Needs `create` on `tokens/<ghost>`; recorded."
    )
  )

class IssueGroup extends HttpApiGroup.make("issue")
  .add(issueToken)
  .annotate(OpenApi.Description, "Tokens that administrators make.") {}

class TokensGroup extends HttpApiGroup.make("tokens").add(token).annotate(OpenApi.Description, "Who a service is.") {}

export class GatekeeperApi extends HttpApi.make("gatekeeper")
  .add(DecisionsGroup)
  .add(TrailGroup)
  .add(PolicyGroup)
  .add(AuthZenGroup)
  .add(IngestGroup)
  .add(StopsGroup)
  .add(FeedGroup)
  .add(IssueGroup)
  .add(TokensGroup)
  .add(HealthGroup)
  .annotate(
    OpenApi.Description,
    "Who are you, and may you do this? Decisions, the policy behind them, and the trail of all of it."
  ) {}
