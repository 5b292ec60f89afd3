import * as ParseResult from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { Matched } from "../../domain/Decision.ts"
import { FileProblem } from "../../domain/FileProblem.ts"
import { isDeeperThan } from "../../domain/JsonDepth.ts"
import { pathProblem, textProblem } from "../../domain/Text.ts"

/** The action of a question that names none. */
export const defaultAction = "inference"

/** Characters: the widths of the trail's columns, so that what was decided is what is recorded. */
export const maximumLength = { action: 100, resource: 255, ghost_id: 100 } as const

/** Levels of objects and arrays, `metadata` itself counted. */
export const maximumMetadataDepth = 32

/**
 * Checks a value when the service decodes it, not when a client encodes it: the service answers and records a request that is not
 * valid. `problem` completes a sentence that begins with the field's name.
 */
const checkedByService = <A>(schema: Schema.Schema<A>, problem: (value: A) => string | undefined) =>
  Schema.transformOrFail(schema, Schema.typeSchema(schema), {
    strict: true,
    decode: (value, _, ast) => {
      const found = problem(value)
      return found === undefined
        ? ParseResult.succeed(value)
        : ParseResult.fail(new ParseResult.Type(ast, value, found))
    },
    encode: (value) => ParseResult.succeed(value)
  })

const AccessText = (field: keyof typeof maximumLength, description?: string) => {
  const maximum = maximumLength[field]
  const problem = field === "resource" ? pathProblem : textProblem
  const text = Schema.String.annotations({
    message: () => "must be a text",
    jsonSchema: {
      type: "string",
      minLength: 1,
      maxLength: maximum,
      ...(description === undefined ? {} : { description })
    }
  })
  return checkedByService(text, (value) => problem(value, maximum))
}

/** Kept as it is, whatever its keys: a copy would lose a key such as `__proto__`. */
const Metadata = checkedByService(
  Schema.declare(Predicate.isReadonlyRecord, { jsonSchema: { type: "object" }, message: () => "must be an object" }),
  (metadata) =>
    isDeeperThan(metadata, maximumMetadataDepth) ? `is nested deeper than ${maximumMetadataDepth} levels` : undefined
)

/** The body of `/validate`. Unknown keys are ignored. */
export const ValidateRequest = Schema.Struct({
  action: Schema.optionalWith(AccessText("action"), { nullable: true, default: () => defaultAction }),
  resource: AccessText("resource"),
  metadata: Schema.optionalWith(Metadata, { nullable: true })
}).annotations({ examples: [{ action: "read", resource: "vaults/public", metadata: { shell_id: "gemma2:27b" } }] })

/** The ghost that a question is about, by default the caller. */
export const SubjectName = Schema.optionalWith(AccessText("ghost_id", "another than the caller"), { nullable: true })

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
