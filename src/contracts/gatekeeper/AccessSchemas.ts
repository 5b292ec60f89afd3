import * as Schema from "effect/Schema"
import { Matched } from "../../domain/Decision.ts"

/** The action of a question that names none. */
export const defaultAction = "inference"

/** Characters: the widths of the trail's columns, so that what was decided is what is recorded. */
export const maximumLength = { action: 100, resource: 255, ghost_id: 100 } as const

/** The body of `/validate`. */
export const AskedAccess = Schema.Struct({
  action: Schema.optionalWith(Schema.String.pipe(Schema.minLength(1), Schema.maxLength(maximumLength.action)), {
    default: () => defaultAction
  }),
  resource: Schema.String.pipe(Schema.minLength(1), Schema.maxLength(maximumLength.resource)),
  metadata: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Unknown }))
}).annotations({ examples: [{ action: "read", resource: "vaults/public", metadata: { shell_id: "gemma2:27b" } }] })

/** The answer to an allowed request. `audit_id` is the id of its row in the trail. */
export const Validated = Schema.Struct({
  allowed: Schema.Literal(true),
  ghost_id: Schema.String,
  groups: Schema.Array(Schema.String),
  audit_id: Schema.String,
  reason: Schema.String,
  matched: Schema.NullOr(Matched),
  policy_version: Schema.String
}).annotations({ description: "It is allowed." })

/** Of `error` in a denial, beside its usual fields: the rule that denied, if one did, and the policy. */
export const deniedBy = {
  matched: Schema.optional(Schema.NullOr(Matched)),
  policy_version: Schema.optional(Schema.String)
}
