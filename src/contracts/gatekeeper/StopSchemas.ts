import * as Schema from "effect/Schema"
import { Revocation } from "../../domain/Stops.ts"
import { Note, Parameter, Text } from "../Fields.ts"
import { maximumLength } from "./AccessSchemas.ts"

export const GhostPath = Schema.Struct({ ghost: Text(maximumLength.ghost_id, { description: "to stop or resume" }) })

export const StopRequest = Schema.Struct({ reason: Schema.optionalWith(Note(500), { nullable: true }) })

/** A stop or a resume that is in effect. */
const GhostStopped = Schema.Struct({
  id: Schema.String,
  ghost_id: Schema.String,
  effect: Schema.Literal("stop", "resume"),
  at: Schema.String,
  reason: Schema.NullOr(Schema.String),
  audit_id: Schema.String
})

export const StopStored = GhostStopped.annotations({ description: "It is in effect, and in the table." })

export const StopKept = GhostStopped.annotations({
  description:
    "It is in effect here, in the trail's journal and in this gatekeeper's home. PostgreSQL does not answer; the table gets it later."
})

export const FeedParams = Schema.Struct({
  after: Schema.optional(Parameter("`next` of the message before"))
})

/** One message of the feed: what is new since the message that `after` names. */
export const FeedMessage = Schema.Struct({
  next: Schema.String,
  policy_version: Schema.NullOr(Schema.String),
  revocations: Schema.Array(Revocation)
}).annotations({
  description: "What is new. With `Accept: text/event-stream` a stream of such messages, one a second or more."
})
export type FeedMessage = typeof FeedMessage.Type
