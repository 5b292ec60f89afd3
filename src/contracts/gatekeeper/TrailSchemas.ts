import * as Schema from "effect/Schema"
import { AuditResult } from "../../domain/AuditEvent.ts"
import { AuditStatus } from "../AuditStatus.ts"
import { Instant, Limit, OneOf, Parameter, RowId } from "../Fields.ts"
import { OpenRecord } from "../OpenRecord.ts"

const EventRow = Schema.Struct({
  id: Schema.String,
  timestamp: Schema.String,
  source: Schema.String,
  /** The ghost that wrote the row over HTTP; null where a process of the gatekeeper wrote it. */
  identity: Schema.NullOr(Schema.String),
  seq: Schema.Number,
  ghost_id: Schema.NullOr(Schema.String),
  shell_id: Schema.NullOr(Schema.String),
  action: Schema.NullOr(Schema.String),
  resource: Schema.NullOr(Schema.String),
  result: Schema.String,
  reason: Schema.NullOr(Schema.String),
  request_id: Schema.NullOr(Schema.String),
  metadata: OpenRecord,
  marks: Schema.Array(Schema.String),
  leaf_hash: Schema.String
})

/** An empty value is a variable of a script that was not set, and would find nothing. */
const Filter = (description: string) =>
  Schema.optional(
    Parameter(description).pipe(
      Schema.filter((text) => text !== "" || "must not be empty; leave it out to find all", {
        jsonSchema: {}
      })
    )
  )

export const EventsParams = Schema.Struct({
  ghost_id: Filter("the subject"),
  action: Filter("the action, whole"),
  resource: Filter("the resource, whole"),
  result: Schema.optional(OneOf(AuditResult.literals)),
  request_id: Filter("the `X-Request-Id`: finds every hop of one request"),
  from: Schema.optional(Instant("RFC 3339 with a zone; inclusive")),
  to: Schema.optional(Instant("RFC 3339 with a zone; exclusive")),
  limit: Limit(100, "1 to 1000; 100 where left out"),
  cursor: Filter("`next` of the page before")
})

export const EventsPage = Schema.Struct({
  events: Schema.Array(EventRow),
  next: Schema.NullOr(Schema.String)
}).annotations({ description: "A page of the trail, newest first." })

const standings = ["this process", "signed off", "tail unknown", "being taken over", "elsewhere", "ingest"]

/** One incarnation of a process: `offered` is the sum of all the other counts but `unaccounted`. */
const PipelineSource = Schema.Struct({
  source: Schema.String,
  standing: Schema.String.annotations({ jsonSchema: { type: "string", enum: standings } }),
  /** The ghost that writes for it over HTTP; null where its process writes into the database itself. */
  identity: Schema.NullOr(Schema.String),
  host: Schema.NullOr(Schema.String),
  pid: Schema.NullOr(Schema.Number),
  durability: Schema.NullOr(Schema.String),
  started_at: Schema.NullOr(Schema.String),
  seen_at: Schema.NullOr(Schema.String),
  signed_off_at: Schema.NullOr(Schema.String),
  tail_unknown_after: Schema.NullOr(Schema.Number),
  /** Numbers up to this one were searched for in the table and the dead letters. */
  checked_seq: Schema.Number,
  offered: Schema.Number,
  committed: Schema.Number,
  pending: Schema.Number,
  /** Dead letters that were not replayed. */
  dead_lettered: Schema.Number,
  quarantined: Schema.Number,
  refused: Schema.Number,
  shed: Schema.Number,
  lost: Schema.Number,
  unaccounted: Schema.Number,
  /** False where an older program wrote, which does not count its events. */
  counted: Schema.Boolean
})

/** Where the events of the trail are. While the database is unreachable, `problem` says why and only `process` is known. */
export const PipelineReport = Schema.Struct({
  trail: Schema.NullOr(Schema.String),
  process: AuditStatus,
  problem: Schema.NullOr(Schema.String),
  sources: Schema.NullOr(Schema.Array(PipelineSource)),
  dead_letters: Schema.NullOr(Schema.Struct({ total: Schema.Number, waiting: Schema.Number })),
  next: Schema.NullOr(Schema.String)
}).annotations({ description: "The counts of each source." })

export const PipelineParams = Schema.Struct({
  limit: Limit(100, "1 to 1000 sources; 100 where left out"),
  cursor: Schema.optional(RowId("`next` of the page before"))
})
