import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import { AuditResult } from "../domain/AuditEvent.ts"
import { Matched } from "../domain/Decision.ts"
import { errorBody } from "../platform/http/ErrorBody.ts"
import { AuditCheck, HealthGroup } from "../platform/http/Health.ts"
import { defaultAction, maximumLength } from "./AccessRequest.ts"
import { IngestAnswer, IngestBody } from "./IngestContract.ts"

/** The gatekeeper's statuses, in one place: what a code means to a client. */
export const statusOf = {
  unauthenticated: 401,
  access_denied: 403,
  source_of_another: 403,
  body_too_large: 413,
  invalid_request: 422,
  audit_unavailable: 503,
  trail_unreachable: 503
} as const

const failures = {
  unauthenticated: errorBody(statusOf.unauthenticated, "unauthenticated"),
  denied: errorBody(statusOf.access_denied, "access_denied"),
  sourceOfAnother: errorBody(statusOf.source_of_another, "source_of_another"),
  tooLarge: errorBody(statusOf.body_too_large, "body_too_large"),
  invalid: errorBody(statusOf.invalid_request, "invalid_request"),
  auditUnavailable: errorBody(statusOf.audit_unavailable, "audit_unavailable"),
  trailUnreachable: errorBody(statusOf.trail_unreachable, "trail_unreachable")
}

const ValidateRequest = Schema.Struct({
  action: Schema.optionalWith(Schema.String.pipe(Schema.minLength(1), Schema.maxLength(maximumLength.action)), {
    default: () => defaultAction
  }),
  resource: Schema.String.pipe(Schema.minLength(1), Schema.maxLength(maximumLength.resource)),
  metadata: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Unknown }))
})

/** The answer to an allowed request. `audit_id` is the id of its row in the trail. */
export const Validated = Schema.Struct({
  allowed: Schema.Literal(true),
  ghost_id: Schema.String,
  groups: Schema.Array(Schema.String),
  audit_id: Schema.String,
  reason: Schema.String,
  matched: Schema.NullOr(Matched),
  policy_version: Schema.String
})

/** A row of the trail, as it is read. */
export const EventRow = Schema.Struct({
  id: Schema.String,
  timestamp: Schema.String,
  source: Schema.String,
  seq: Schema.Number,
  ghost_id: Schema.NullOr(Schema.String),
  shell_id: Schema.NullOr(Schema.String),
  action: Schema.NullOr(Schema.String),
  resource: Schema.NullOr(Schema.String),
  result: Schema.String,
  reason: Schema.NullOr(Schema.String),
  request_id: Schema.NullOr(Schema.String),
  metadata: Schema.Record({ key: Schema.String, value: Schema.Unknown }),
  marks: Schema.Array(Schema.String),
  leaf_hash: Schema.String
})

/**
 * Wide on purpose: the handler reads the query, not the platform, so that one that is refused has its row in the trail
 * too.
 */
const parameter = (description: string) =>
  Schema.optional(Schema.Union(Schema.String, Schema.Array(Schema.String)).annotations({ description }))

const EventsParams = Schema.Struct({
  ghost_id: parameter("the subject"),
  action: parameter("the action, whole"),
  resource: parameter("the resource, whole"),
  result: parameter(AuditResult.literals.join(" | ")),
  from: parameter("ISO 8601 with a zone; inclusive"),
  to: parameter("ISO 8601 with a zone; exclusive"),
  limit: parameter("1 to 1000; 100 where left out"),
  cursor: parameter("`next` of the page before")
})

export const EventsPage = Schema.Struct({ events: Schema.Array(EventRow), next: Schema.NullOr(Schema.String) })

/** One incarnation of a process: `offered` is the sum of all the other counts but `unaccounted`. */
const PipelineSource = Schema.Struct({
  source: Schema.String,
  standing: Schema.Literal("this process", "signed off", "tail unknown", "being taken over", "elsewhere", "ingest"),
  /** The ghost that writes for it over HTTP; null where its process writes into the database itself. */
  identity: Schema.NullOr(Schema.String),
  host: Schema.NullOr(Schema.String),
  pid: Schema.NullOr(Schema.Number),
  durability: Schema.NullOr(Schema.String),
  started_at: Schema.NullOr(Schema.String),
  seen_at: Schema.NullOr(Schema.String),
  signed_off_at: Schema.NullOr(Schema.String),
  tail_unknown_after: Schema.NullOr(Schema.Number),
  /** Each number up to this was looked for in the table and the dead letters. */
  checked_seq: Schema.Number,
  offered: Schema.Number,
  committed: Schema.Number,
  pending: Schema.Number,
  /** Without those that were replayed. */
  dead_lettered: Schema.Number,
  quarantined: Schema.Number,
  refused: Schema.Number,
  shed: Schema.Number,
  lost: Schema.Number,
  unaccounted: Schema.Number,
  /** False where an older program wrote, which does not count. */
  counted: Schema.Boolean
})

/** Where the events of the trail are. Without the database, `problem` says why, and only this process is told of. */
export const PipelineReport = Schema.Struct({
  trail: Schema.NullOr(Schema.String),
  process: AuditCheck,
  problem: Schema.NullOr(Schema.String),
  sources: Schema.NullOr(Schema.Array(PipelineSource)),
  dead_letters: Schema.NullOr(Schema.Struct({ total: Schema.Number, waiting: Schema.Number })),
  next: Schema.NullOr(Schema.String)
})

const PipelineParams = Schema.Struct({
  limit: parameter("1 to 1000 sources; 100 where left out"),
  cursor: parameter("`next` of the page before")
})

class DecisionsGroup extends HttpApiGroup.make("decisions").add(
  HttpApiEndpoint.post("validate", "/validate")
    .setPayload(ValidateRequest)
    .addSuccess(Validated)
    .addError(failures.unauthenticated)
    .addError(failures.denied)
    .addError(failures.tooLarge)
    .addError(failures.invalid)
    .addError(failures.auditUnavailable)
    .annotate(
      OpenApi.Description,
      "May the bearer of this token do `action` on `resource`? Every answer has its row in the trail."
    )
) {}

class TrailGroup extends HttpApiGroup.make("trail")
  .add(
    HttpApiEndpoint.get("events", "/audit/events")
      .setUrlParams(EventsParams)
      .addSuccess(EventsPage)
      .addError(failures.unauthenticated)
      .addError(failures.denied)
      .addError(failures.invalid)
      .addError(failures.auditUnavailable)
      .addError(failures.trailUnreachable)
      .annotate(
        OpenApi.Description,
        "The trail, newest first. Needs `read` on `audit/events`; the reading itself is recorded."
      )
  )
  .add(
    HttpApiEndpoint.get("pipeline", "/audit/pipeline")
      .setUrlParams(PipelineParams)
      .addSuccess(PipelineReport)
      .addError(failures.unauthenticated)
      .addError(failures.denied)
      .addError(failures.invalid)
      .addError(failures.auditUnavailable)
      .annotate(
        OpenApi.Description,
        "Whether anything is missing: the counts of each source, newest first. Needs `read` on `audit/pipeline`; recorded."
      )
  ) {}

class IngestGroup extends HttpApiGroup.make("ingest")
  .add(
    HttpApiEndpoint.post("record", "/audit/events")
      .setPayload(IngestBody)
      .addSuccess(IngestAnswer)
      .addError(failures.unauthenticated)
      .addError(failures.denied)
      .addError(failures.tooLarge)
      .addError(failures.invalid)
      .addError(failures.auditUnavailable)
      .addError(failures.trailUnreachable)
      .annotate(
        OpenApi.Description,
        "Records events of another program, each once under the key that it gave. Needs `write` on `audit/events`. 503: send " +
          "the same batch again."
      )
  )
  .add(
    HttpApiEndpoint.post("store", "/audit/store/:operation")
      .setPath(Schema.Struct({ operation: Schema.String }))
      .setPayload(Schema.Unknown)
      .addSuccess(Schema.Struct({ value: Schema.optional(Schema.Unknown), failure: Schema.optional(Schema.Unknown) }))
      .addError(failures.unauthenticated)
      .addError(failures.denied)
      .addError(failures.sourceOfAnother)
      .addError(failures.tooLarge)
      .addError(failures.invalid)
      .addError(failures.auditUnavailable)
      .annotate(
        OpenApi.Description,
        "The trail of guardian and router in processes of their own; spoken by the same version at both ends, and no API for others. " +
          "Needs `write` on `audit/store`."
      )
  ) {}

export class GatekeeperApi extends HttpApi.make("gatekeeper")
  .add(DecisionsGroup)
  .add(TrailGroup)
  .add(IngestGroup)
  .add(HealthGroup) {}
