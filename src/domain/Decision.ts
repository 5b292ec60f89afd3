import * as Schema from "effect/Schema"

/** The permission that allowed: its group, and its place in that group's list, counted from 1. */
export const Matched = Schema.Struct({ group: Schema.String, rule: Schema.Number })
export type Matched = typeof Matched.Type

/** What the policy says of one subject, action and resource. */
export const Decision = Schema.Struct({
  allowed: Schema.Boolean,
  /** The groups that the policy maps the subject to; a token's claim has no part in it. */
  groups: Schema.Array(Schema.String),
  matched: Schema.NullOr(Matched),
  reason: Schema.String
})
export type Decision = typeof Decision.Type
