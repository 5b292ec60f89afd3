import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import { errorBody } from "../ErrorBody.ts"
import { HealthGroup } from "../Health.ts"
import { deniedBy, ValidateAnswer, ValidateRequest } from "./AccessSchemas.ts"
import {
  Configuration,
  EvaluationAnswer,
  EvaluationRequest,
  EvaluationsAnswer,
  EvaluationsRequest
} from "./AuthZenSchemas.ts"
import { IngestAnswer, IngestBody } from "./IngestSchemas.ts"
import { ExplainAnswer, ExplainRequest, PolicyView, policyProblems, ReloadAnswer } from "./PolicySchemas.ts"
import { EventsPage, EventsParams, PipelineParams, PipelineReport } from "./TrailSchemas.ts"

const failures = {
  unauthenticated: errorBody("unauthenticated"),
  denied: errorBody("access_denied", deniedBy),
  sourceOfAnother: errorBody("source_of_another"),
  tooLarge: errorBody("body_too_large"),
  invalid: errorBody("invalid_request"),
  policyRefused: errorBody("policy_refused", policyProblems),
  badRequest: errorBody("bad_request"),
  keysUnavailable: errorBody("keys_unavailable"),
  auditUnavailable: errorBody("audit_unavailable"),
  trailUnreachable: errorBody("trail_unreachable")
}

export const validate = HttpApiEndpoint.post("validate", "/validate")
  .setPayload(ValidateRequest)
  .addSuccess(ValidateAnswer)
  .addError(failures.unauthenticated)
  .addError(failures.keysUnavailable)
  .addError(failures.denied)
  .addError(failures.tooLarge)
  .addError(failures.invalid)
  .addError(failures.auditUnavailable)
  .annotate(OpenApi.Summary, "May the bearer do this?")
  .annotate(
    OpenApi.Description,
    "May the bearer of this token do `action` on `resource`? Every answer has its row in the trail."
  )

class DecisionsGroup extends HttpApiGroup.make("decisions")
  .add(validate)
  .annotate(OpenApi.Description, "Who may do what.") {}

export const events = HttpApiEndpoint.get("events", "/audit/events")
  .setUrlParams(EventsParams)
  .addSuccess(EventsPage)
  .addError(failures.unauthenticated)
  .addError(failures.keysUnavailable)
  .addError(failures.denied)
  .addError(failures.invalid)
  .addError(failures.auditUnavailable)
  .addError(failures.trailUnreachable)
  .annotate(OpenApi.Summary, "Reads the trail")
  .annotate(
    OpenApi.Description,
    "The trail, newest first. Needs `read` on `audit/events`; the reading itself is recorded."
  )

export const pipeline = HttpApiEndpoint.get("pipeline", "/audit/pipeline")
  .setUrlParams(PipelineParams)
  .addSuccess(PipelineReport)
  .addError(failures.unauthenticated)
  .addError(failures.keysUnavailable)
  .addError(failures.denied)
  .addError(failures.invalid)
  .addError(failures.auditUnavailable)
  .annotate(OpenApi.Summary, "Is anything missing from the trail?")
  .annotate(
    OpenApi.Description,
    "Whether anything is missing: the counts of each source, newest first. Needs `read` on `audit/pipeline`; recorded."
  )

class TrailGroup extends HttpApiGroup.make("trail")
  .add(events)
  .add(pipeline)
  .annotate(OpenApi.Description, "What was recorded.") {}

export const policy = HttpApiEndpoint.get("policy", "/policy")
  .addSuccess(PolicyView)
  .addError(failures.unauthenticated)
  .addError(failures.keysUnavailable)
  .addError(failures.denied)
  .addError(failures.auditUnavailable)
  .annotate(OpenApi.Summary, "The policy in force")
  .annotate(OpenApi.Description, "The policy in force. Needs `read` on `policy`; recorded.")

export const reload = HttpApiEndpoint.post("reload", "/policy/reload")
  .addSuccess(ReloadAnswer)
  .addError(failures.unauthenticated)
  .addError(failures.keysUnavailable)
  .addError(failures.denied)
  .addError(failures.policyRefused)
  .addError(failures.auditUnavailable)
  .annotate(OpenApi.Summary, "Reads the policy's file again")
  .annotate(
    OpenApi.Description,
    "Reads the policy's file again. A file with a problem is refused, and the policy in force stays. Needs `write` on `policy`; recorded."
  )

export const explain = HttpApiEndpoint.post("explain", "/explain")
  .setPayload(ExplainRequest)
  .addSuccess(ExplainAnswer)
  .addError(failures.unauthenticated)
  .addError(failures.keysUnavailable)
  .addError(failures.denied)
  .addError(failures.tooLarge)
  .addError(failures.invalid)
  .addError(failures.auditUnavailable)
  .annotate(OpenApi.Summary, "Why would it be allowed or denied?")
  .annotate(
    OpenApi.Description,
    "What `/validate` would decide, and every rule that was considered. About another ghost it needs `read` on `policy`. Recorded as a reading, not as a decision."
  )

class PolicyGroup extends HttpApiGroup.make("policy")
  .add(policy)
  .add(reload)
  .add(explain)
  .annotate(OpenApi.Description, "What decides.") {}

export const evaluation = HttpApiEndpoint.post("evaluation", "/access/v1/evaluation")
  .setPayload(EvaluationRequest)
  .addSuccess(EvaluationAnswer)
  .addError(failures.badRequest)
  .addError(failures.unauthenticated)
  .addError(failures.keysUnavailable)
  .addError(failures.denied)
  .addError(failures.tooLarge)
  .addError(failures.auditUnavailable)
  .annotate(OpenApi.Summary, "AuthZEN: may the subject do this?")
  .annotate(
    OpenApi.Description,
    "OpenID AuthZEN 1.0: may the subject do it? The caller needs `execute` on `access/evaluation`. The caller's permission and the decision have a row each."
  )

export const evaluations = HttpApiEndpoint.post("evaluations", "/access/v1/evaluations")
  .setPayload(EvaluationsRequest)
  .addSuccess(EvaluationsAnswer)
  .addError(failures.badRequest)
  .addError(failures.unauthenticated)
  .addError(failures.keysUnavailable)
  .addError(failures.denied)
  .addError(failures.tooLarge)
  .addError(failures.auditUnavailable)
  .annotate(OpenApi.Summary, "AuthZEN: several questions at once")
  .annotate(
    OpenApi.Description,
    "OpenID AuthZEN 1.0: several evaluations at once, each with its row. An evaluation may leave out what the request says beside `evaluations`."
  )

export const configuration = HttpApiEndpoint.get("configuration", "/.well-known/authzen-configuration")
  .addSuccess(Configuration)
  .annotate(OpenApi.Summary, "AuthZEN: where the endpoints are")
  .annotate(OpenApi.Description, "OpenID AuthZEN 1.0: where the endpoints are. Needs no token.")

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
  .addError(failures.unauthenticated)
  .addError(failures.keysUnavailable)
  .addError(failures.denied)
  .addError(failures.tooLarge)
  .addError(failures.invalid)
  .addError(failures.auditUnavailable)
  .addError(failures.trailUnreachable)
  .annotate(OpenApi.Summary, "Records events of another program")
  .annotate(
    OpenApi.Description,
    "Records events of another program, each once under the key that it gave. Needs `write` on `audit/events`. 503: send " +
      "the same batch again."
  )

export const store = HttpApiEndpoint.post("store", "/audit/store/:operation")
  .setPath(Schema.Struct({ operation: Schema.String.annotations({ description: "of the trail's store" }) }))
  .setPayload(Schema.Unknown)
  .addSuccess(StoreAnswer)
  .addError(failures.unauthenticated)
  .addError(failures.keysUnavailable)
  .addError(failures.denied)
  .addError(failures.sourceOfAnother)
  .addError(failures.tooLarge)
  .addError(failures.invalid)
  .addError(failures.auditUnavailable)
  .annotate(OpenApi.Summary, "The trail of another Gravitas process")
  .annotate(
    OpenApi.Description,
    "The trail of guardian and router in processes of their own; spoken by the same version at both ends, and no API for others. " +
      "Needs `write` on `audit/store`."
  )

class IngestGroup extends HttpApiGroup.make("ingest")
  .add(record)
  .add(store)
  .annotate(OpenApi.Description, "Events that other programs record.") {}

export class GatekeeperApi extends HttpApi.make("gatekeeper")
  .add(DecisionsGroup)
  .add(TrailGroup)
  .add(PolicyGroup)
  .add(AuthZenGroup)
  .add(IngestGroup)
  .add(HealthGroup)
  .annotate(
    OpenApi.Description,
    "Who are you, and may you do this? Decisions, the policy behind them, and the trail of all of it."
  ) {}
