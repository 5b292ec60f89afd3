import { createHash } from "node:crypto"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { isMap, isScalar, isSeq, LineCounter, type Pair, parseDocument } from "yaml"
import type { Permission, Policy } from "./Policy.ts"

const Problem = Schema.Struct({ line: Schema.Number, column: Schema.Number, problem: Schema.String })
type Problem = typeof Problem.Type

/** The policy file cannot be used; every problem has its line and column, counted from 1. */
export class PolicyRefused extends Schema.TaggedError<PolicyRefused>()("PolicyRefused", {
  file: Schema.String,
  problems: Schema.Array(Problem)
}) {
  override get message(): string {
    const lines = this.problems.map(({ line, column, problem }) => `  ${this.file}:${line}:${column}: ${problem}`)
    return `Policy refused. Correct the file, or name another by ACCESS_POLICY_PATH:\n${lines.join("\n")}`
  }
}

type Ranged = { readonly range?: readonly [number, number, number] | null | undefined } | null | undefined

const isRanged = (node: unknown): node is NonNullable<Ranged> => typeof node === "object" && node !== null

/** A pattern is `*`, a literal, or a literal that ends in `/*`; anything else would match nothing that its author meant. */
const resourceProblem = (pattern: string): string | undefined =>
  pattern === "*" || !pattern.replace(/\/\*$/, "").includes("*")
    ? undefined
    : `${JSON.stringify(pattern)}: "*" may stand alone or as a trailing "/*"`

const actionProblem = (action: string): string | undefined =>
  action === "*" || !action.includes("*") ? undefined : `${JSON.stringify(action)}: "*" may only stand alone`

/** Reads a policy's YAML. Keys that it does not know are refused: a misspelt one would silently deny or drop a rule. */
export const parsePolicy = (text: string, file: string): Either.Either<Policy, PolicyRefused> => {
  const counter = new LineCounter()
  const document = parseDocument(text, { lineCounter: counter, uniqueKeys: true })
  const problems: Array<Problem> = []
  const note = (offset: number, problem: string) => {
    const { line, col } = counter.linePos(offset)
    problems.push({ line: Math.max(line, 1), column: Math.max(col, 1), problem })
  }
  const at = (node: unknown): number => (isRanged(node) ? ((node as Ranged)?.range?.[0] ?? 0) : 0)
  const entries = (node: unknown, what: string): ReadonlyArray<Pair> => {
    if (isMap(node)) return node.items
    note(at(node), `${what} must be a mapping`)
    return []
  }
  const list = (node: unknown, what: string): ReadonlyArray<unknown> => {
    if (isSeq(node)) return node.items
    note(at(node), `${what} must be a list`)
    return []
  }
  const name = (node: unknown, what: string): string => {
    if (isScalar(node) && typeof node.value === "string" && node.value !== "") return node.value
    note(at(node), `${what} must be a text that is not empty`)
    return ""
  }
  const fields = (node: unknown, what: string, known: ReadonlyArray<string>): ReadonlyMap<string, unknown> => {
    const found = new Map<string, unknown>()
    for (const { key, value } of entries(node, what)) {
      const field = name(key, `a key of ${what}`)
      if (known.includes(field)) found.set(field, value)
      else if (field !== "")
        note(at(key), `unknown key ${JSON.stringify(field)} in ${what}; known: ${known.join(", ")}`)
    }
    for (const field of known) if (isMap(node) && !found.has(field)) note(at(node), `${what} lacks "${field}"`)
    return found
  }

  for (const error of document.errors) note(error.pos[0], error.message.split("\n", 1)[0] ?? error.code)
  const groups = new Map<string, ReadonlyArray<Permission>>()
  const ghostMappings = new Map<string, ReadonlyArray<string>>()
  if (problems.length === 0) {
    const root = fields(document.contents, "the policy", ["groups", "ghost_mappings"])
    for (const { key, value } of root.has("groups") ? entries(root.get("groups"), "groups") : []) {
      const group = name(key, "a group's name")
      const permissions: Array<Permission> = []
      for (const item of list(
        fields(value, `group ${group}`, ["permissions"]).get("permissions"),
        `permissions of ${group}`
      )) {
        const permission = fields(item, "a permission", ["action", "resource"])
        if (permission.size < 2) continue
        const action = name(permission.get("action"), "action")
        const resource = name(permission.get("resource"), "resource")
        for (const [node, problem] of [
          [permission.get("action"), actionProblem(action)],
          [permission.get("resource"), resourceProblem(resource)]
        ] as const) {
          if (problem !== undefined) note(at(node), problem)
        }
        permissions.push({ action, resource })
      }
      groups.set(group, permissions)
    }
    for (const { key, value } of root.has("ghost_mappings")
      ? entries(root.get("ghost_mappings"), "ghost_mappings")
      : []) {
      const ghost = name(key, "a ghost's name")
      const mapped = list(value, `groups of ${ghost}`).map((item) => {
        const group = name(item, `a group of ${ghost}`)
        if (group !== "" && !groups.has(group))
          note(at(item), `ghost ${ghost} is mapped to ${group}, which is no group here`)
        return group
      })
      ghostMappings.set(ghost, mapped)
    }
  }
  if (problems.length > 0) {
    return Either.left(
      new PolicyRefused({ file, problems: problems.sort((a, b) => a.line - b.line || a.column - b.column) })
    )
  }
  const version = createHash("sha256").update(text).digest("hex").slice(0, 12)
  return Either.right({ groups, ghostMappings, version })
}

export const loadPolicy = (file: string): Effect.Effect<Policy, PolicyRefused, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const text = yield* files.readFileString(file).pipe(
      Effect.mapError((error) => {
        const problem = error._tag === "SystemError" && error.reason === "NotFound" ? "no such file" : error.message
        return new PolicyRefused({ file, problems: [{ line: 1, column: 1, problem }] })
      })
    )
    return yield* parsePolicy(text, file)
  })
