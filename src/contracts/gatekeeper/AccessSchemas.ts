import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { Matched } from "../../domain/Decision.ts"
import { isDeeperThan, pathProblem, textProblem } from "../../domain/Text.ts"

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

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Kept as it is, whatever its keys: a copy would lose a key such as `__proto__`. */
const Metadata = checkedByService(
  Schema.declare(isObject, { jsonSchema: { type: "object" }, message: () => "must be an object" }),
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
