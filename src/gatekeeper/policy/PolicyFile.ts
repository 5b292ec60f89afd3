import { createHash } from "node:crypto"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { FileProblem, problemLines } from "../../domain/FileProblem.ts"
import { atOnce, inTurns, type Steps } from "../../platform/os/EventLoop.ts"
import { textProblem } from "../AccessRequest.ts"
import type { Permission, PermissionEffect, Policy } from "./Policy.ts"
import { readingYaml, type YamlReading } from "./YamlReading.ts"

/** The policy file cannot be used; every problem has its line and column, counted from 1. */
export class PolicyRefused extends Schema.TaggedError<PolicyRefused>()("PolicyRefused", {
  file: Schema.String,
  problems: Schema.Array(FileProblem)
}) {
  override get message(): string {
    return `Policy refused. Correct the file, or name another by ACCESS_POLICY_PATH:\n${problemLines(this.file, this.problems)}`
  }
}

/** By which a policy's text is known. */
export const versionOf = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 12)

/** Why a text is none that can be asked about: what allows it is of no use, and what denies it denies nothing. */
const unaskable = (field: "action" | "resource", text: string): string | undefined => {
  const problem = text === "" ? undefined : textProblem(field, text)
  return problem === undefined ? undefined : `${JSON.stringify(text)} can match nothing: ${problem}`
}

/** A pattern is `*`, a literal, or a literal that ends in `/*`; anything else would match nothing that its author meant. */
const resourceProblem = (pattern: string): string | undefined => {
  if (pattern === "*") return undefined
  const literal = pattern.replace(/\/\*$/, "")
  return literal.includes("*")
    ? `${JSON.stringify(pattern)}: "*" may stand alone or as a trailing "/*"`
    : unaskable("resource", literal)
}

const actionProblem = (action: string): string | undefined => {
  if (action === "*") return undefined
  return action.includes("*") ? `${JSON.stringify(action)}: "*" may only stand alone` : unaskable("action", action)
}

const effects: ReadonlyArray<PermissionEffect> = ["allow", "deny"]

const readPermission = (yaml: YamlReading, node: unknown): Permission | undefined => {
  const permission = yaml.fields(node, "a permission", ["action", "resource"], ["effect"])
  if (!permission.has("action") || !permission.has("resource")) return undefined
  const action = yaml.name(permission.get("action"), "action")
  const resource = yaml.name(permission.get("resource"), "resource")
  const given = permission.has("effect") ? yaml.name(permission.get("effect"), "effect") : "allow"
  const effect = effects.find((one) => one === given)
  // A misspelt deny must not stand as an allow.
  if (effect === undefined && given !== "") {
    yaml.note(permission.get("effect"), `effect ${JSON.stringify(given)} is neither allow nor deny`)
  }
  for (const [node, problem] of [
    [permission.get("action"), actionProblem(action)],
    [permission.get("resource"), resourceProblem(resource)]
  ] as const) {
    if (problem !== undefined) yaml.note(node, problem)
  }
  return { action, resource, effect: effect ?? "deny" }
}

const readGroups = (yaml: YamlReading, node: unknown): ReadonlyMap<string, ReadonlyArray<Permission>> => {
  const groups = new Map<string, ReadonlyArray<Permission>>()
  for (const { key, value } of yaml.entries(node, "groups")) {
    const group = yaml.name(key, "a group's name")
    const fields = yaml.fields(value, `group ${group}`, ["permissions"])
    const items = fields.has("permissions") ? yaml.list(fields.get("permissions"), `permissions of ${group}`) : []
    groups.set(
      group,
      items.flatMap((item) => readPermission(yaml, item) ?? [])
    )
  }
  return groups
}

const readLists = (
  yaml: YamlReading,
  node: unknown,
  what: string,
  { ofOne, one }: { readonly ofOne: (name: string) => string; readonly one: string },
  check: (item: unknown, text: string, name: string) => void
): ReadonlyMap<string, ReadonlyArray<string>> => {
  const lists = new Map<string, ReadonlyArray<string>>()
  for (const { key, value } of yaml.entries(node, what)) {
    const name = yaml.name(key, one)
    const texts = yaml.list(value, ofOne(name)).map((item) => {
      const text = yaml.name(item, `one of ${ofOne(name)}`)
      if (text !== "") check(item, text, name)
      return text
    })
    lists.set(name, texts)
  }
  return lists
}

/** Reads a policy's YAML. Keys that it does not know are refused: a misspelt one would silently deny or drop a rule. */
export const parsePolicy = (text: string, file: string): Either.Either<Policy, PolicyRefused> =>
  atOnce(parsing(text, file))

function* parsing(text: string, file: string): Steps<Either.Either<Policy, PolicyRefused>> {
  const yaml = yield* readingYaml(text)
  yield
  const root =
    yaml.root === undefined
      ? new Map<string, unknown>()
      : yaml.fields(yaml.root, "the policy", ["groups", "ghost_mappings"], ["resource_paths"])
  const groups = root.has("groups") ? readGroups(yaml, root.get("groups")) : new Map()
  const ghostMappings = root.has("ghost_mappings")
    ? readLists(
        yaml,
        root.get("ghost_mappings"),
        "ghost_mappings",
        { one: "a ghost's name", ofOne: (ghost) => `groups of ${ghost}` },
        (item, group, ghost) => {
          if (!groups.has(group)) yaml.note(item, `ghost ${ghost} is mapped to ${group}, which is no group here`)
        }
      )
    : new Map()
  const resourcePaths = root.has("resource_paths")
    ? readLists(
        yaml,
        root.get("resource_paths"),
        "resource_paths",
        { one: "a resource's type", ofOne: (type) => `properties of ${type}` },
        () => {}
      )
    : new Map()
  const problems = yaml.problems()
  if (problems.length > 0) return Either.left(new PolicyRefused({ file, problems }))
  return Either.right({ groups, ghostMappings, resourcePaths, version: versionOf(text) })
}

/** `parsePolicy`, while others go first: a large file takes tenths of a second. */
export const parseInTurns = (text: string, file: string): Effect.Effect<Policy, PolicyRefused> =>
  Effect.flatten(inTurns(() => parsing(text, file)))

/** The text of a policy file; a file that cannot be read is refused as one that cannot be understood is. */
export const readPolicyFile = (file: string): Effect.Effect<string, PolicyRefused, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (files) =>
    Effect.mapError(files.readFileString(file), (error) => {
      const problem = error._tag === "SystemError" && error.reason === "NotFound" ? "no such file" : error.message
      return new PolicyRefused({ file, problems: [{ line: 1, column: 1, problem }] })
    })
  )

export const loadPolicy = (file: string): Effect.Effect<Policy, PolicyRefused, FileSystem.FileSystem> =>
  Effect.flatMap(readPolicyFile(file), (text) => parseInTurns(text, file))
