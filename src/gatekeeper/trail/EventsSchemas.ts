import * as Schema from "effect/Schema"
import { AuditResult } from "../../domain/AuditEvent.ts"
import { parameter } from "./PipelineSchemas.ts"

/** A row of the trail, as it is read. */
const EventRow = Schema.Struct({
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

export const EventsParams = Schema.Struct({
  ghost_id: parameter("the subject"),
  action: parameter("the action, whole"),
  resource: parameter("the resource, whole"),
  result: parameter(AuditResult.literals.join(" | ")),
  request_id: parameter("the `X-Request-Id`: finds every hop of one request"),
  from: parameter("ISO 8601 with a zone; inclusive"),
  to: parameter("ISO 8601 with a zone; exclusive"),
  limit: parameter("1 to 1000; 100 where left out"),
  cursor: parameter("`next` of the page before")
})

export const EventsPage = Schema.Struct({
  events: Schema.Array(EventRow),
  next: Schema.NullOr(Schema.String)
}).annotations({ description: "A page of the trail, newest first." })
