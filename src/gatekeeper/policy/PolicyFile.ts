import { createHash } from "node:crypto"
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { maximumLength } from "../../contracts/gatekeeper/AccessSchemas.ts"
import { ghostProblem } from "../../domain/Spelling.ts"
import * as YamlSchema from "../../platform/config/YamlSchema.ts"
import { textProblem } from "../AccessRequest.ts"
import { isGhostPattern } from "./GhostGroups.ts"
import { ownSegment } from "./Patterns.ts"
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

/** A pattern is `*`, a literal, or a literal that ends in `/*`. One segment of a literal may be `${ghost}`. */
const resourceProblem = (pattern: string): string | undefined => {
  if (pattern === "*") return undefined
  const literal = pattern.replace(/\/\*$/, "")
  if (literal.includes("*")) return `is ${JSON.stringify(pattern)}, but "*" may only be the whole or a trailing "/*"`
  const segments = literal.split("/")
  const named = segments.map((segment) => (segment === ownSegment ? "ghost" : segment)).join("/")
  if (named.includes("${") || segments.filter((segment) => segment === ownSegment).length > 1) {
    return `is ${JSON.stringify(pattern)}, but "${ownSegment}" may only be one whole segment, and no other "\${" is known`
  }
  return unmatchableProblem("resource", named)
}

const actionProblem = (action: string): string | undefined => {
  if (action === "*") return undefined
  if (action.includes("${")) return `is ${JSON.stringify(action)}, but "${ownSegment}" may only be in a resource`
  return action.includes("*")
    ? `is ${JSON.stringify(action)}, but "*" may only be the whole`
    : unmatchableProblem("action", action)
}

/** A key of `ghost_mappings` is a ghost, or the beginning of ghosts' names and `*`. */
const ghostKeyProblem = (key: string): string | undefined => {
  const name = isGhostPattern(key) ? `${key.slice(0, -1)}x` : key
  if (name.includes("*")) return 'is not a ghost: "*" may only be the last character'
  const problem = ghostProblem(name, maximumLength.ghost_id)
  return problem === undefined ? undefined : `is not a ghost that a token can name: it ${problem}`
}

const permission = Schema.Struct({
  action: YamlSchema.text.pipe(Schema.filter(actionProblem)),
  resource: YamlSchema.text.pipe(Schema.filter(resourceProblem)),
  // A misspelt deny must not count as an allow.
  effect: Schema.optionalWith(Schema.Literal("allow", "deny"), { exact: true, default: () => "allow" })
})

interface InheritingGroup {
  readonly inherits?: ReadonlyArray<string> | undefined
}

/** The entries of `inherits` that lead back to their own group, each with its path in the file. */
const cyclesOf = (groups: ReadonlyMap<string, InheritingGroup>) => {
  const cycles: Array<{ readonly path: ReadonlyArray<PropertyKey>; readonly message: string }> = []
  const seen = new Map<string, "open" | "done">()
  for (const start of groups.keys()) {
    // Without recursion: a chain of groups may be as long as the file.
    const open = seen.has(start) ? [] : [{ group: start, next: 0 }]
    for (let last = open.at(-1); last !== undefined; last = open.at(-1)) {
      const { group, next } = last
      seen.set(group, "open")
      const inherited = groups.get(group)?.inherits?.[next]
      last.next += 1
      if (inherited === undefined) {
        seen.set(group, "done")
        open.pop()
      } else if (seen.get(inherited) === "open") {
        const names = open.map((one) => one.group)
        const cycle = [...names.slice(names.indexOf(inherited)), inherited].join(" inherits ")
        cycles.push({ path: ["groups", group, "inherits", next], message: `makes a cycle: ${cycle}` })
      } else if (!seen.has(inherited)) open.push({ group: inherited, next: 0 })
    }
  }
  return cycles
}

/** Keys that it does not know are refused: a misspelt one would silently deny or drop a rule. */
const policySchema = (namesIn: (key: string) => ReadonlySet<string>) => {
  const names = namesIn("groups")
  const name = YamlSchema.text.pipe(
    Schema.filter((one) => names.has(one) || `is ${one}, which is not a group of this file`)
  )
  const group = Schema.Struct({
    permissions: Schema.optionalWith(Schema.Array(permission), { exact: true }),
    inherits: Schema.optionalWith(Schema.Array(name), { exact: true })
  }).pipe(
    Schema.filter(
      ({ inherits, permissions }) =>
        inherits !== undefined || permissions !== undefined || "must have permissions, or inherit another group"
    )
  )
  return Schema.Struct({
    groups: YamlSchema.mapOf(group),
    ghost_mappings: YamlSchema.mapOf(Schema.Array(name), ghostKeyProblem),
    resource_paths: Schema.optionalWith(YamlSchema.mapOf(Schema.Array(YamlSchema.text)), { exact: true })
  }).pipe(Schema.filter(({ groups }) => cyclesOf(groups)))
}

const policyOf = (
  source: string,
  file: Schema.Schema.Type<ReturnType<typeof policySchema>>,
  lineOf: (path: ReadonlyArray<PropertyKey>) => number
): Policy => ({
  groups: new Map(Array.from(file.groups, ([group, { permissions = [] }]) => [group, permissions])),
  inherits: new Map(
    Array.from(file.groups).flatMap(([group, { inherits }]) =>
      inherits === undefined
        ? []
        : [[group, inherits.map((one, i) => ({ group: one, line: lineOf(["groups", group, "inherits", i]) }))] as const]
    )
  ),
  ghostMappings: new Map(
    Array.from(file.ghost_mappings, ([ghost, groups]) => [
      ghost,
      groups.map((group, i) => ({ group, line: lineOf(["ghost_mappings", ghost, i]) }))
    ])
  ),
  resourcePaths: file.resource_paths ?? new Map(),
  version: versionOf(source)
})

/** Reads a policy's YAML in turns of the event loop: a large file takes tenths of a second. */
export const parsePolicy = (source: string, file: string): Effect.Effect<Policy, PolicyRefused> =>
  Effect.mapBoth(YamlSchema.decodeInTurns(policySchema, source), {
    onFailure: (problems) => new PolicyRefused({ file, problems }),
    onSuccess: ({ placeOf, value }) => policyOf(source, value, (path) => placeOf(path).line)
  })

/** Reads the text of the policy file that the setting names. A file that cannot be read is refused, as one that is not valid is. */
export const readPolicyFile = (file: string): Effect.Effect<string, PolicyRefused, FileSystem.FileSystem> =>
  Effect.mapError(YamlSchema.readNamedText(file), (problems) => new PolicyRefused({ file, problems }))

export const loadPolicy = (file: string): Effect.Effect<Policy, PolicyRefused, FileSystem.FileSystem> =>
  Effect.flatMap(readPolicyFile(file), (source) => parsePolicy(source, file))
