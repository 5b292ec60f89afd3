import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Schema from "effect/Schema"
import { ClaimableResult } from "../../domain/AuditEvent.ts"
import { errorBody } from "../ApiError.ts"
import { meaningOf, statusOf } from "../ErrorCodes.ts"

/** One batch; a client with more sends several. */
export const maximumIngestEvents = 1_000

/** Bytes of the body of a batch. */
export const maximumIngestBytes = 1024 * 1024

/** Bytes of one event: the limit of any other request body, and many times the size of a row. */
export const maximumIngestEventBytes = 64 * 1024

export const maximumClientIdLength = 200

/** Number of other contents of one key that are kept. Without it, a client that never changes its key would fill the dead letters. */
export const keptConflicts = 16

const text = (description: string) => Schema.optional(Schema.NullOr(Schema.String.annotations({ description })))

const IngestedEvent = Schema.Struct({
  id: Schema.String.pipe(Schema.minLength(1), Schema.maxLength(maximumClientIdLength)).annotations({
    description: "your own key of the event: sent again, it is recorded once"
  }),
  action: Schema.NonEmptyString,
  resource: Schema.NonEmptyString,
  occurred_at: text("RFC 3339 with a zone: your claim; the row's `timestamp` is when it was recorded"),
  ghost_id: text("the subject, as you know it"),
  shell_id: text("the model that it ran on"),
  result: Schema.optional(
    Schema.NullOr(ClaimableResult.annotations({ description: "REPORTED where left out: no decision is claimed" }))
  ),
  reason: text("why"),
  request_id: text("the batch's `X-Request-Id` where left out"),
  metadata: Schema.optional(
    Schema.NullOr(Schema.Record({ key: Schema.String, value: Schema.Unknown })).annotations({
      description: "stored below `claimed` in the row's metadata; `ingest` beside it says who brought the event"
    })
  )
})

export const IngestBody = Schema.Struct({
  events: Schema.Array(IngestedEvent).pipe(Schema.minItems(1), Schema.maxItems(maximumIngestEvents))
})

/** One result for each event, in the order of the batch. `audit_id` beside `results` is the row of the decision. */
const ingested = {
  results: Schema.Array(
    Schema.Struct({
      id: Schema.NullOr(Schema.String),
      status: Schema.Literal("recorded", "duplicate", "conflict", "invalid", "dead_lettered").annotations({
        description:
          "recorded: its row is in the trail; duplicate: it was before, under this audit_id; conflict: the id was used for another " +
          `event, and this one is a dead letter (without an audit_id it is not kept, for ${keptConflicts} others are); invalid: not ` +
          "recorded, `problem` says why; dead_lettered: the table refused it"
      }),
      audit_id: Schema.optional(Schema.String),
      marks: Schema.optional(
        Schema.Array(Schema.String).annotations({
          description:
            "the marks of the row that was recorded: what was cut, cleaned or left out; absent where nothing was"
        })
      ),
      problem: Schema.optional(Schema.String)
    })
  ),
  failed: Schema.Number.annotations({ description: "how many events are neither recorded nor duplicates" }),
  audit_id: Schema.String
}

export const IngestAnswer = Schema.Struct(ingested).annotations({
  description: "The result of each event, in the order of the batch."
})

export const NothingRecorded = Schema.Struct({ ...errorBody("nothing_recorded").fields, ...ingested }).annotations({
  ...HttpApiSchema.annotations({ status: statusOf("nothing_recorded") }),
  identifier: "Error_nothing_recorded",
  description: meaningOf("nothing_recorded")
})
