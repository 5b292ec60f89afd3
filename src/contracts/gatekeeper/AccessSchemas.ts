import * as Schema from "effect/Schema"
import { Matched } from "../../domain/Decision.ts"
import { FileProblem, isDeeperThan } from "../../domain/Text.ts"
import { checkedByService, GhostName, PathName } from "../Fields.ts"
import { OpenRecord, RecordOf } from "../OpenRecord.ts"

/** The action of a question that names none. */
export const defaultAction = "inference"

/** Characters: the widths of the trail's columns, so that what was decided is what is recorded. */
export const maximumLength = { action: 100, resource: 255, ghost_id: 100 } as const

/** Levels of objects and arrays, `metadata` itself counted. */
export const maximumMetadataDepth = 32

const Metadata = checkedByService(OpenRecord, (metadata) =>
  isDeeperThan(metadata, maximumMetadataDepth) ? `is nested deeper than ${maximumMetadataDepth} levels` : undefined
)

/** The body of `/validate`. Unknown keys are ignored. */
export const ValidateRequest = Schema.Struct({
  action: Schema.optionalWith(PathName(maximumLength.action), { nullable: true, default: () => defaultAction }),
  resource: PathName(maximumLength.resource),
  metadata: Schema.optionalWith(Metadata, { nullable: true })
}).annotations({ examples: [{ action: "read", resource: "vaults/public", metadata: { shell_id: "gemma2:27b" } }] })

/** The ghost that a question is about, by default the caller. */
const SubjectName = Schema.optionalWith(GhostName(maximumLength.ghost_id, { description: "another than the caller" }), {
  nullable: true
})

/** The answer to an allowed request. `audit_id` is the id of its row in the trail. */
export const ValidateAnswer = Schema.Struct({
  allowed: Schema.Literal(true),
  ghost_id: Schema.String,
  groups: Schema.Array(Schema.String),
  audit_id: Schema.String,
  reason: Schema.String,
  matched: Schema.NullOr(Matched),
  policy_version: Schema.String
}).annotations({ description: "It is allowed." })

/** Further fields of `error` in a denial: the rule that denied, where one did, and the policy's version. */
export const deniedBy = {
  matched: Schema.optional(Schema.NullOr(Matched)),
  policy_version: Schema.optional(Schema.String)
}

const PermissionView = Schema.Struct({
  action: Schema.String,
  resource: Schema.String,
  effect: Schema.Literal("allow", "deny")
})

const Lists = RecordOf(Schema.Array(Schema.String))

/** Lines of the policy's file, from 1, one for each entry of the list of the same name. */
const Lines = RecordOf(Schema.Array(Schema.Number))

/** A group of a ghost, and the line of the policy's file that gives it: under a key of `ghost_mappings`, or in a group that inherits it. */
const GroupSource = Schema.Struct({
  group: Schema.String,
  line: Schema.Number,
  from: Schema.Union(Schema.Struct({ ghost: Schema.String }), Schema.Struct({ group: Schema.String }))
})

export const PolicyView = Schema.Struct({
  version: Schema.String,
  loaded_at: Schema.String,
  groups: RecordOf(Schema.Struct({ permissions: Schema.Array(PermissionView), inherits: Schema.Array(Schema.String) })),
  ghost_mappings: Lists,
  lines: Schema.Struct({ inherits: Lines, ghost_mappings: Lines }),
  /** Keys of `ghost_mappings` that a reader may take for each other. */
  look_alikes: Schema.Array(Schema.Array(Schema.String)),
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
  group_sources: Schema.Array(GroupSource),
  matched: Schema.NullOr(Matched),
  reason: Schema.String,
  policy_version: Schema.String,
  rules: Schema.Array(RuleView),
  /** Rules of the ghost's groups beyond the 200 in `rules`; matching ones are chosen first. */
  rules_omitted: Schema.Number,
  audit_id: Schema.String
}).annotations({ description: "The decision that `/validate` would make, and the rules that were considered." })
