import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { loadParser } from "./Parser.ts"
import { blanked, quotedParts } from "./QuotedText.ts"
import type { Section } from "./Revision.ts"
import {
  copyFromStdin,
  encodingFixed,
  explainSyntaxError,
  isOwnSchema,
  type LocatedProblem,
  schemaExists,
  textsUnescaped
} from "./SyntaxProblem.ts"

export interface Statement {
  /** The text as sent, without its semicolon and without what precedes the statement. */
  readonly text: string
  /** The line of its first character in the file of its section, from 1. */
  readonly line: number
}

/** PostgreSQL's parser refused a section. */
export class StatementUnreadable extends Schema.TaggedError<StatementUnreadable>()("StatementUnreadable", {
  problem: Schema.String,
  line: Schema.Number,
  /** From 1, in characters. */
  column: Schema.Number,
  /** The line of the file. */
  source: Schema.String,
  /** The statement, as far as its ends are known. */
  statement: Schema.String
}) {
  override get message(): string {
    return `line ${this.line}, column ${this.column}: ${this.problem}`
  }
}

/** Converts a 0-based offset in code points, as PostgreSQL counts, to line and column, both from 1. */
export const locate = (
  text: string,
  offset: number
): { readonly line: number; readonly column: number; readonly source: string } => {
  const before = [...text].slice(0, offset).join("").split("\n")
  const source = text.split("\n")[before.length - 1] ?? ""
  return { line: before.length, column: [...(before.at(-1) ?? "")].length + 1, source }
}

/** Refuses a section at a UTF-16 offset of its text. */
const unreadable = (section: Section, { offset, problem }: LocatedProblem): StatementUnreadable => {
  const { line, column, source } = locate(section.text, [...section.text.slice(0, offset)].length)
  const code = blanked(section.text, quotedParts(section.text))
  const end = code.indexOf(";", offset)
  const statement = section.text.slice(code.lastIndexOf(";", offset - 1) + 1, end === -1 ? undefined : end).trim()
  return new StatementUnreadable({ problem, line: section.line + line - 1, column, source, statement })
}

const syntaxError = (section: Section, thrown: unknown): StatementUnreadable => {
  // The parser counts code points.
  const position = Number(child(thrown, "sqlDetails", "cursorPosition"))
  const offset = Number.isInteger(position) ? [...section.text].slice(0, position).join("").length : 0
  const problem = thrown instanceof Error ? thrown.message : String(thrown)
  return unreadable(section, explainSyntaxError(section.text, { offset, problem }))
}

const isOff = (value: unknown): boolean => {
  const text = textOf(value, "A_Const", "sval", "sval") ?? String(child(value, "A_Const", "ival", "ival") ?? "0")
  return !/^(on|true|t|tr|tru|yes|ye|y|1)$/i.test(text)
}

const isUtf8 = (value: unknown): boolean => /^(utf-?8|unicode)$/i.test(textOf(value, "A_Const", "sval", "sval") ?? "")

/** Why a setting would change how the texts of the revision are read, or null. */
const refusedSetting = (name: string | null, value: unknown): string | null =>
  name === "standard_conforming_strings" && isOff(value)
    ? textsUnescaped
    : name === "client_encoding" && !isUtf8(value)
      ? encodingFixed
      : null

/** Calls of `set_config` with constants, as a list of names and values. */
const configured = (node: unknown) =>
  nodesIn(node).flatMap(({ kind, node: call }) => {
    const isCall = kind === "FuncCall" && nameOf(listOf(call, "funcname")).name === "set_config"
    return isCall
      ? [{ name: textOf(call, "args", "0", "A_Const", "sval", "sval"), value: child(call, "args", "1") }]
      : []
  })

/** Why a statement cannot be part of a revision, or null. */
const refusal = ({ transaction }: Section, kind: string, node: unknown, text: string): string | null => {
  switch (kind) {
    case "TransactionStmt":
      return transaction
        ? "the migrator opens and ends the transaction; remove this statement, or use transaction:false"
        : "with transaction:false each statement commits by itself; remove this statement"
    case "CopyStmt": {
      const isFromClient = child(node, "is_from") === true && textOf(node, "filename") === null
      return isFromClient ? copyFromStdin : null
    }
    case "CreateSchemaStmt": {
      const name = textOf(node, "schemaname")
      return name !== null && isOwnSchema(name) && child(node, "if_not_exists") !== true ? schemaExists(name) : null
    }
    case "VariableSetStmt":
      return child(node, "kind") === "VAR_SET_VALUE"
        ? refusedSetting(textOf(node, "name"), child(node, "args", "0"))
        : null
    case "SelectStmt": {
      if (!/set_config/i.test(text)) return null
      const refused = configured(node).map(({ name, value }) => refusedSetting(name, value))
      return refused.find((one) => one !== null) ?? null
    }
    default:
      return null
  }
}

const newline = 0x0a

const split = Effect.fnUntraced(function* (
  section: Section
): Effect.fn.Return<ReadonlyArray<Statement>, StatementUnreadable> {
  const { parse } = yield* Effect.promise(loadParser)
  const tree = yield* Effect.tryPromise({
    try: () => parse(section.text),
    catch: (thrown) => syntaxError(section, thrown)
  })
  // The parser's offsets are bytes of UTF-8. Lines are counted from the end of the last count.
  const bytes = Buffer.from(section.text)
  let line = section.line
  let counted = 0
  const lineAt = (offset: number): number => {
    for (let at = bytes.indexOf(newline, counted); at !== -1 && at < offset; at = bytes.indexOf(newline, counted)) {
      line += 1
      counted = at + 1
    }
    return line
  }
  const statements: Array<Statement> = []
  for (const { stmt, stmt_location: start = 0, stmt_len: length = 0 } of tree.stmts ?? []) {
    const raw = bytes.subarray(start, length === 0 ? bytes.length : start + length).toString()
    const lead = raw.length - raw.trimStart().length
    const text = raw.trim()
    const begin = start + Buffer.byteLength(raw.slice(0, lead))
    const [kind = "", node] = Object.entries(stmt ?? {})[0] ?? []
    const problem = refusal(section, kind, node, text)
    if (problem !== null) {
      return yield* unreadable(section, { offset: bytes.subarray(0, begin).toString().length, problem })
    }
    statements.push({ text, line: lineAt(begin) })
  }
  if (statements.length === 0) return yield* unreadable(section, { offset: 0, problem: "there is no statement here" })
  return statements
})

const known = new WeakMap<Section, Either.Either<ReadonlyArray<Statement>, StatementUnreadable>>()

/**
 * Splits a section into its statements, at least one, in time that is proportional to its text. Refuses BEGIN and COMMIT, since
 * the migrator controls the transaction, and statements that no revision can run. A run checks its plan, then runs it: both get
 * what was found the first time.
 */
export const splitStatements = (section: Section): Effect.Effect<ReadonlyArray<Statement>, StatementUnreadable> =>
  Effect.suspend(() => {
    const found = Effect.tap(Effect.either(split(section)), (result) => void known.set(section, result))
    return known.get(section) ?? Effect.flatten(found)
  })

/** A statement as PostgreSQL's parser reads it: the name of its node, such as `DropStmt`, and the node. */
export interface ParseTree {
  readonly kind: string
  readonly node: object
}

/** A name as written in a statement. */
export interface QualifiedName {
  readonly schema: string | null
  readonly name: string
}

export const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

/** Returns a field of a node; the parser leaves out fields that are zero, false or empty. */
export const child = (node: unknown, ...path: ReadonlyArray<string>): unknown =>
  path.reduce<unknown>((at, key) => (isObject(at) ? Reflect.get(at, key) : undefined), node)

export const textOf = (node: unknown, ...path: ReadonlyArray<string>): string | null => {
  const value = child(node, ...path)
  return typeof value === "string" ? value : null
}

export const listOf = (node: unknown, ...path: ReadonlyArray<string>): ReadonlyArray<unknown> => {
  const value = child(node, ...path)
  return Array.isArray(value) ? value : []
}

/** The name in a RangeVar node. */
export const relationOf = (range: unknown): QualifiedName => ({
  schema: textOf(range, "schemaname"),
  name: textOf(range, "relname") ?? ""
})

/** The name in a list of String nodes: the last is the name, the one before it the schema. */
export const nameOf = (strings: ReadonlyArray<unknown>): QualifiedName => {
  const parts = strings.map((part) => textOf(part, "String", "sval") ?? "")
  return { schema: parts.at(-2) ?? null, name: parts.at(-1) ?? "" }
}

export const shownName = ({ name, schema }: QualifiedName): string => (schema === null ? name : `${schema}.${name}`)

const quoted = (identifier: string): string => `"${identifier.replaceAll('"', '""')}"`

/** Quotes a name for SQL text. */
export const quotedName = ({ name, schema }: QualifiedName): string =>
  schema === null ? quoted(name) : `${quoted(schema)}.${quoted(name)}`

/** Collects this node and every node below it. */
export const nodesIn = (tree: unknown): ReadonlyArray<ParseTree> =>
  Array.isArray(tree)
    ? tree.flatMap(nodesIn)
    : isObject(tree)
      ? Object.entries(tree).flatMap(([key, value]) => [
          ...(/^[A-Z]/.test(key) && isObject(value) ? [{ kind: key, node: value }] : []),
          ...nodesIn(value)
        ])
      : []

/** Parses one statement of `splitStatements`. Text that cannot be parsed has the kind `unreadable`. */
export const readTree = (statement: string): Effect.Effect<ParseTree> =>
  Effect.promise(async () => {
    const { parse } = await loadParser()
    const tree = await parse(statement).catch(() => undefined)
    const [kind, node] = Object.entries(tree?.stmts?.[0]?.stmt ?? {})[0] ?? []
    return kind !== undefined && isObject(node) ? { kind, node } : { kind: "unreadable", node: {} }
  })

/** A partition that a statement takes from its table. */
export interface DetachedPartition {
  readonly table: QualifiedName
  readonly partition: QualifiedName
}

/** How a statement of a revision without a transaction runs, and what can be known about it after a crash. */
export type StatementClass = Data.TaggedEnum<{
  /** May run in a transaction, so it commits together with its record: it is done or it is not. */
  Transactional: Readonly<Record<never, never>>
  /** Changes a setting of the session; a run that continues later executes it again. */
  Setting: Readonly<Record<never, never>>
  /** `create index concurrently`: the catalog shows its outcome. `index` is null if PostgreSQL chooses the name. */
  CreateIndex: { readonly index: QualifiedName | null; readonly table: QualifiedName }
  /** `drop index concurrently`: the catalog shows its outcome. */
  DropIndex: { readonly index: QualifiedName }
  /** `detach partition … concurrently`: the catalog shows its outcome. */
  DetachPartition: DetachedPartition
  /** Safe to run twice: `vacuum`, `reindex`. */
  Repeatable: Readonly<Record<never, never>>
  /** `call`, `do` and every other statement that commits by itself: its outcome cannot be known. */
  Opaque: Readonly<Record<never, never>>
}>
export const StatementClass = Data.taggedEnum<StatementClass>()

/** Statements that PostgreSQL accepts in a transaction block, except for the forms that `classOf` checks first. */
const transactional = new Set(
  `AlterDefaultPrivilegesStmt AlterDomainStmt AlterEnumStmt AlterFunctionStmt AlterObjectSchemaStmt AlterOwnerStmt
  AlterPolicyStmt AlterSeqStmt AlterTableStmt CommentStmt CompositeTypeStmt CreateDomainStmt CreateEnumStmt
  CreateFunctionStmt CreatePolicyStmt CreateSchemaStmt CreateSeqStmt CreateStatsStmt CreateStmt CreateTableAsStmt
  CreateTrigStmt DeleteStmt DropStmt GrantStmt IndexStmt InsertStmt MergeStmt RefreshMatViewStmt RenameStmt RuleStmt
  SelectStmt TruncateStmt UpdateStmt ViewStmt`.split(/\s+/)
)

/** The index that `create index` makes, concurrently or not; its name is null if PostgreSQL chooses it. */
export const indexOf = ({ kind, node }: ParseTree) => {
  if (kind !== "IndexStmt") return undefined
  const table = relationOf(child(node, "relation"))
  const name = textOf(node, "idxname")
  return { table, index: name === null ? null : { schema: table.schema, name } }
}

/** Classifies a statement by its parse tree. */
export const classOf = ({ kind, node }: ParseTree): StatementClass => {
  const created = child(node, "concurrent") === true ? indexOf({ kind, node }) : undefined
  if (created !== undefined) return StatementClass.CreateIndex(created)
  if (kind === "DropStmt" && child(node, "concurrent") === true) {
    return StatementClass.DropIndex({ index: nameOf(listOf(node, "objects", "0", "List", "items")) })
  }
  const detached = listOf(node, "cmds")
    .map((command) => child(command, "AlterTableCmd", "def", "PartitionCmd"))
    .find((part) => child(part, "concurrent") === true)
  if (kind === "AlterTableStmt" && detached !== undefined) {
    const table = relationOf(child(node, "relation"))
    return StatementClass.DetachPartition({ table, partition: relationOf(child(detached, "name")) })
  }
  if (kind === "VariableSetStmt") return StatementClass.Setting()
  if (kind === "VacuumStmt" || kind === "ReindexStmt") return StatementClass.Repeatable()
  return transactional.has(kind) ? StatementClass.Transactional() : StatementClass.Opaque()
}
