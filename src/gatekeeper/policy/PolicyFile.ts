import { createHash } from "node:crypto"
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as YamlSchema from "../../platform/config/YamlSchema.ts"
import { textProblem } from "../AccessRequest.ts"
import type { Policy } from "./Policy.ts"

export class PolicyRefused extends YamlSchema.FileRefused(
  "PolicyRefused",
  "Policy refused. Correct the file, or name another by ACCESS_POLICY_PATH"
) {}

/** The version of a policy: the first 12 hexadecimal digits of its text's SHA-256. */
export const versionOf = (source: string): string => createHash("sha256").update(source).digest("hex").slice(0, 12)

/** Why no request could match this text: a rule for it would be dead. */
const unmatchableProblem = (field: "action" | "resource", text: string): string | undefined => {
  const problem = text === "" ? undefined : textProblem(field, text)
  return problem === undefined ? undefined : `is ${JSON.stringify(text)}, which no request can match: ${problem}`
}

/** A pattern is `*`, a literal, or a literal that ends in `/*`. */
const resourceProblem = (pattern: string): string | undefined => {
  if (pattern === "*") return undefined
  const literal = pattern.replace(/\/\*$/, "")
  return literal.includes("*")
    ? `is ${JSON.stringify(pattern)}, but "*" may only stand alone or as a trailing "/*"`
    : unmatchableProblem("resource", literal)
}

const actionProblem = (action: string): string | undefined => {
  if (action === "*") return undefined
  return action.includes("*")
    ? `is ${JSON.stringify(action)}, but "*" may only stand alone`
    : unmatchableProblem("action", action)
}

const permission = Schema.Struct({
  action: YamlSchema.text.pipe(Schema.filter(actionProblem)),
  resource: YamlSchema.text.pipe(Schema.filter(resourceProblem)),
  // A misspelt deny must not count as an allow.
  effect: Schema.optionalWith(Schema.Literal("allow", "deny"), { exact: true, default: () => "allow" })
})

/** Keys that it does not know are refused: a misspelt one would silently deny or drop a rule. */
const policySchema = (namesIn: (key: string) => ReadonlySet<string>) => {
  const groups = namesIn("groups")
  const group = YamlSchema.text.pipe(
    Schema.filter((name) => groups.has(name) || `is ${name}, which is not a group of this file`)
  )
  return Schema.Struct({
    groups: YamlSchema.mapOf(Schema.Struct({ permissions: Schema.Array(permission) })),
    ghost_mappings: YamlSchema.mapOf(Schema.Array(group)),
    resource_paths: Schema.optionalWith(YamlSchema.mapOf(Schema.Array(YamlSchema.text)), { exact: true })
  })
}

const policyOf = (source: string, file: Schema.Schema.Type<ReturnType<typeof policySchema>>): Policy => ({
  groups: new Map(Array.from(file.groups, ([group, { permissions }]) => [group, permissions])),
  ghostMappings: file.ghost_mappings,
  resourcePaths: file.resource_paths ?? new Map(),
  version: versionOf(source)
})

/** Reads a policy's YAML in turns of the event loop: a large file takes tenths of a second. */
export const parsePolicy = (source: string, file: string): Effect.Effect<Policy, PolicyRefused> =>
  Effect.mapBoth(YamlSchema.decodeInTurns(policySchema, source), {
    onFailure: (problems) => new PolicyRefused({ file, problems }),
    onSuccess: ({ value }) => policyOf(source, value)
  })

/** Reads the text of the policy file that the setting names. A file that cannot be read is refused, as one that is not valid is. */
export const readPolicyFile = (file: string): Effect.Effect<string, PolicyRefused, FileSystem.FileSystem> =>
  Effect.mapError(YamlSchema.readNamedText(file), (problems) => new PolicyRefused({ file, problems }))

export const loadPolicy = (file: string): Effect.Effect<Policy, PolicyRefused, FileSystem.FileSystem> =>
  Effect.flatMap(readPolicyFile(file), (source) => parsePolicy(source, file))
