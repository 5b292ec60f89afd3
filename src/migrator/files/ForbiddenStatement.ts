import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ServiceName } from "../../domain/Service.ts"
import { contentsOf } from "./NestedStatements.ts"
import type { Section } from "./Revision.ts"
import { child, isObject, listOf, nameOf, type ParseTree, relationOf, textOf } from "./Statements.ts"

/** A text without these words holds none of the statements below, so it is not parsed again. */
const mayForbid =
  /advisory_unlock|\bdiscard\b|\breset\b|_timeout|schema_(history|event|version)|refuse_schema_event|\b(drop|alter)\s+schema\b|U&/i

const historyObjects = new Set(["schema_history", "schema_event", "schema_version", "refuse_schema_event_change"])

/** The first two parts of a name, as they are written in a node: a relation, a list of strings, or a function. */
const namesIn = (value: unknown): ReadonlyArray<string> => {
  if (Array.isArray(value)) {
    const strings = value.map((part) => textOf(part, "String", "sval"))
    return strings.length > 0 && strings.every((part) => part !== null)
      ? [strings.slice(0, 2).join("."), strings.join(".")]
      : value.flatMap(namesIn)
  }
  if (!isObject(value)) return []
  const range = child(value, "RangeVar") ?? (child(value, "relname") === undefined ? undefined : value)
  if (range !== undefined) {
    const { name, schema } = relationOf(range)
    return [schema === null ? name : `${schema}.${name}`]
  }
  const list = child(value, "List", "items") ?? child(value, "ObjectWithArgs", "objname")
  return namesIn(list)
}

/** Statements that change the object which one of these fields names. */
const changes: Readonly<Record<string, ReadonlyArray<string>>> = {
  InsertStmt: ["relation"],
  UpdateStmt: ["relation"],
  DeleteStmt: ["relation"],
  MergeStmt: ["relation"],
  TruncateStmt: ["relations"],
  AlterTableStmt: ["relation"],
  RenameStmt: ["relation", "object"],
  DropStmt: ["objects"],
  AlterObjectSchemaStmt: ["relation", "object"],
  AlterOwnerStmt: ["relation", "object"],
  CreateTrigStmt: ["relation"],
  RuleStmt: ["relation"],
  ViewStmt: ["view"],
  CreatePolicyStmt: ["table"],
  AlterFunctionStmt: ["func"],
  CreateFunctionStmt: ["funcname"]
}

/** Why a statement may not change the migrator's own tables; null if it does not. */
const ofHistory = ({ kind, node }: ParseTree, service: ServiceName): string | null => {
  const fields = kind === "CopyStmt" && child(node, "is_from") === true ? ["relation"] : (changes[kind] ?? [])
  const named = fields.flatMap((field) => namesIn(child(node, field)))
  const own = named.find((name) => {
    const [first = "", second] = name.split(".")
    return historyObjects.has(first) || (first === service && second !== undefined && historyObjects.has(second))
  })
  return own === undefined
    ? null
    : `${own} is the migrator's own record of this schema, which only the migrator writes; remove this statement`
}

/** Why a statement may not drop or rename the schema that holds the history; null if it does not. */
const ofSchema = ({ kind, node }: ParseTree, service: ServiceName): string | null => {
  const dropped =
    kind === "DropStmt" && textOf(node, "removeType") === "OBJECT_SCHEMA"
      ? listOf(node, "objects").map((object) => textOf(object, "String", "sval"))
      : []
  const renamed =
    kind === "RenameStmt" && textOf(node, "renameType") === "OBJECT_SCHEMA" ? [textOf(node, "subname")] : []
  return [...dropped, ...renamed].includes(service)
    ? `the schema ${service} holds the history of its own revisions; drop what the revision created, one by one`
    : null
}

/** The constant value of a setting, as text; null if it is computed. */
const constantOf = (value: unknown): string | null => {
  const constant = child(value, "A_Const")
  if (constant === undefined) return null
  const integer = child(constant, "ival")
  return integer === undefined
    ? (textOf(constant, "sval", "sval") ?? textOf(constant, "fval", "fval"))
    : String(child(integer, "ival") ?? 0)
}

/** True for 0 in any unit, which turns a timeout off. */
const isOff = (value: string | null): boolean => value !== null && Number.parseFloat(value) === 0

/** The timeouts that the section's marker, or the migrator, sets. */
const timeoutsOf = ({ lockTimeout, statementTimeout, transaction }: Section): ReadonlyArray<string> => {
  const limits = (timeout: Option.Option<Duration.Duration>) =>
    Option.exists(timeout, (limit) => Duration.toMillis(limit) > 0)
  const waits = limits(lockTimeout) || (transaction && Option.isNone(lockTimeout))
  return [...(waits ? ["lock_timeout"] : []), ...(limits(statementTimeout) ? ["statement_timeout"] : [])]
}

const ofTimeout = (name: string | null, section: Section): string | null =>
  name !== null && timeoutsOf(section).includes(name)
    ? `it removes ${name}; write the limit on the marker instead, such as ${name}:30s, or ${name}:0s for none`
    : null

/** Why a statement of a body or a script may not run; null if it may. */
const ofStatement = (tree: ParseTree, section: Section): string | null => {
  const { kind, node } = tree
  if (kind === "DiscardStmt" && textOf(node, "target") === "DISCARD_ALL") {
    return "discard all releases the migration lock; use discard temp, or reset the settings by name"
  }
  if (kind !== "VariableSetStmt") return null
  if (textOf(node, "kind") === "VAR_RESET_ALL") {
    return "reset all removes lock_timeout and the empty search_path; reset the settings by name"
  }
  const removes = ["VAR_RESET", "VAR_SET_DEFAULT"].includes(textOf(node, "kind") ?? "")
  return removes || isOff(constantOf(listOf(node, "args")[0])) ? ofTimeout(textOf(node, "name"), section) : null
}

/** Why a function may not be called; null if it may. */
const ofCall = ({ kind, node }: ParseTree, section: Section): string | null => {
  if (kind !== "FuncCall") return null
  const { name, schema } = nameOf(listOf(node, "funcname"))
  if (schema !== null && schema !== "pg_catalog") return null
  const args = listOf(node, "args")
  const isOfMigrator = name === "pg_advisory_unlock" && JSON.stringify(args).includes("migrate:")
  if (name === "pg_advisory_unlock_all" || isOfMigrator) {
    return `${name} releases the migration lock; unlock your own key: pg_advisory_unlock(<key>)`
  }
  return name === "set_config" && isOff(constantOf(args[1])) ? ofTimeout(constantOf(args[0]), section) : null
}

/** Whether a function that `text` defines is called by another statement of the section, such as `select router.f()`. */
const isCalled = (definition: ParseTree | undefined, text: string, section: Section): boolean => {
  const { name } = nameOf(listOf(definition?.node, "funcname"))
  return definition?.kind === "CreateFunctionStmt" && section.text.replace(text, "").includes(`${name}(`)
}

/**
 * Why a statement of a revision may not run: it releases the migration lock, writes the history, or removes the timeouts that
 * protect live traffic. Null if it may, and where its text does not show what it runs.
 */
export const forbiddenBecause = (text: string, section: Section, service: ServiceName): Effect.Effect<string | null> =>
  mayForbid.test(text)
    ? Effect.gen(function* () {
        const first = yield* contentsOf(text, "runs")
        const { nodes, statements } = isCalled(first.statements[0], text, section) ? yield* contentsOf(text) : first
        const ofStatements = statements.map((tree) => ofStatement(tree, section))
        const ofNodes = nodes.map(
          (tree) => ofCall(tree, section) ?? ofHistory(tree, service) ?? ofSchema(tree, service)
        )
        return [...ofStatements, ...ofNodes].find((reason) => reason !== null) ?? null
      })
    : Effect.succeed(null)
