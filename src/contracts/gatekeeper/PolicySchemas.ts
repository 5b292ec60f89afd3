import * as Schema from "effect/Schema"
import { Matched } from "../../domain/Decision.ts"
import { FileProblem } from "../../domain/Text.ts"
import { SubjectName, ValidateRequest } from "./AccessSchemas.ts"

const PermissionView = Schema.Struct({
  action: Schema.String,
  resource: Schema.String,
  effect: Schema.Literal("allow", "deny")
})

const Lists = Schema.Record({ key: Schema.String, value: Schema.Array(Schema.String) })

/** The policy in force. */
export const PolicyView = Schema.Struct({
  version: Schema.String,
  loaded_at: Schema.String,
  groups: Schema.Record({
    key: Schema.String,
    value: Schema.Struct({ permissions: Schema.Array(PermissionView) })
  }),
  ghost_mappings: Lists,
  resource_paths: Lists,
  /** The present file, where it was refused; null where it is the policy in force. */
  refused_reload: Schema.NullOr(Schema.Struct({ at: Schema.String, problems: Schema.Array(FileProblem) })),
  audit_id: Schema.String
}).annotations({ description: "The policy that decides." })

export const ReloadAnswer = Schema.Struct({
  before: Schema.String,
  after: Schema.String,
  changed: Schema.Boolean,
  audit_id: Schema.String
}).annotations({ description: "The policy that decides from now on." })

/** Further fields of `error`. */
export const policyProblems = { problems: Schema.Array(FileProblem), policy_version: Schema.String }

export const ExplainRequest = Schema.Struct({
  ...ValidateRequest.fields,
  ghost_id: SubjectName
})

const RuleView = Schema.Struct({
  group: Schema.String,
  rule: Schema.Number,
  ...PermissionView.fields,
  matches: Schema.Boolean,
  decides: Schema.Boolean,
  why: Schema.String
})

export const ExplainAnswer = Schema.Struct({
  allowed: Schema.Boolean,
  ghost_id: Schema.String,
  action: Schema.String,
  resource: Schema.String,
  groups: Schema.Array(Schema.String),
  matched: Schema.NullOr(Matched),
  reason: Schema.String,
  policy_version: Schema.String,
  rules: Schema.Array(RuleView),
  audit_id: Schema.String
}).annotations({ description: "The decision that `/validate` would make, and every rule that was considered." })
