import * as Schema from "effect/Schema"

/** The permission that allowed: its group, and its number in that group's list, from 1. */
export const Matched = Schema.Struct({ group: Schema.String, rule: Schema.Number })
export type Matched = typeof Matched.Type

export const Decision = Schema.Struct({
  allowed: Schema.Boolean,
  /** The groups that the policy maps the subject to, whatever the token's claim says. */
  groups: Schema.Array(Schema.String),
  matched: Schema.NullOr(Matched),
  reason: Schema.String
})
export type Decision = typeof Decision.Type
