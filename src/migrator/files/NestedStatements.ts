import * as Effect from "effect/Effect"
import { loadParser } from "./Parser.ts"
import { child, isObject, listOf, nameOf, nodesIn, type ParseTree, textOf } from "./Statements.ts"

/** What a statement does, as far as its text shows it. */
export interface StatementContents {
  /** The statement, and those of the bodies that it runs or defines: `do` blocks, functions, `execute` of a text that is known. */
  readonly statements: ReadonlyArray<ParseTree>
  /** Every node of these statements. */
  readonly nodes: ReadonlyArray<ParseTree>
  /** Why a part of it cannot be read. Each completes "cannot be known: …". */
  readonly unknown: ReadonlyArray<string>
}

const nothing: StatementContents = { statements: [], nodes: [], unknown: [] }

const joined = (parts: ReadonlyArray<StatementContents>): StatementContents => ({
  statements: parts.flatMap(({ statements }) => statements),
  nodes: parts.flatMap(({ nodes }) => nodes),
  unknown: [...new Set(parts.flatMap(({ unknown }) => unknown))]
})

const unknownPart = (what: string): StatementContents => ({ ...nothing, unknown: [what] })

/** The language and the text of a body: of a `do` block, or of a function that is not `begin atomic`. */
const bodyOf = ({ kind, node }: ParseTree) => {
  if (kind !== "DoStmt" && kind !== "CreateFunctionStmt") return undefined
  const options = listOf(node, kind === "DoStmt" ? "args" : "options")
  const option = (name: string) =>
    child(
      options.find((one) => textOf(one, "DefElem", "defname") === name),
      "DefElem",
      "arg"
    )
  const source = option("as")
  const text = textOf(source, "String", "sval") ?? textOf(source, "List", "items", "0", "String", "sval")
  const language = textOf(option("language"), "String", "sval") ?? (kind === "DoStmt" ? "plpgsql" : "sql")
  return text === null ? undefined : { language: language.toLowerCase(), text }
}

/** An SQL text within a body of PL/pgSQL. */
interface BodyQuery {
  readonly text: string
  /** The statement is the value of the text (`execute`), instead of the text itself. */
  readonly dynamic: boolean
}

/** How libpg-query marks a text that is an expression, and from which number on it is an assignment (RawParseMode in parser.h). */
const expressionMode = 2

const queryOf = (expression: object, dynamic: boolean): BodyQuery => {
  const text = textOf(expression, "query") ?? ""
  const mode = Number(child(expression, "parseMode") ?? 0)
  if (mode < expressionMode) return { text, dynamic }
  const value = mode === expressionMode ? text : text.replace(/^[^=]*?:?=/, "")
  return { text: `select ${value}`, dynamic }
}

/** Every SQL text below a node of the parser for PL/pgSQL. `owner` is the node's kind, `field` the field that holds it. */
const queriesIn = (value: unknown, owner = "", field = ""): ReadonlyArray<BodyQuery> => {
  if (Array.isArray(value)) return value.flatMap((item) => queriesIn(item, owner, field))
  if (!isObject(value)) return []
  return Object.entries(value).flatMap(([key, inner]) => {
    if (key === "PLpgSQL_expr" && isObject(inner)) {
      const runs = /^PLpgSQL_stmt_dyn/.test(owner) && field === "query"
      return [queryOf(inner, runs || field === "dynquery")]
    }
    return /^PLpgSQL_/.test(key) ? queriesIn(inner, key, "") : queriesIn(inner, owner, key)
  })
}

const ownFunction = (node: object, ...names: ReadonlyArray<string>): boolean => {
  const { name, schema } = nameOf(listOf(node, "funcname"))
  return (schema === null || schema === "pg_catalog") && names.includes(name)
}

/** Replaces the placeholders of `format`; null where an argument could add to the statement. */
const formatted = (template: string, values: ReadonlyArray<string | null>): string | null => {
  let next = 0
  let known = true
  const text = template.replace(/%(?:(\d+)\$)?([ILs%]|.)/g, (_, position: string | undefined, kind: string) => {
    if (kind === "%") return "%"
    const value = values[position === undefined ? next++ : Number(position) - 1] ?? null
    if (kind === "I") return '"x"'
    if (kind === "L") return "'x'"
    if (kind !== "s" || value === null) known = false
    return value ?? ""
  })
  return known ? text : null
}

/** Types whose text form is a quoted name or a number. */
const plainTypes = /^(reg[a-z]+|int[248]|oid|bool|numeric|uuid)$/

/** The text that an expression makes, with a placeholder for each quoted part; null if it cannot be known. */
const templateOf = (expression: unknown): string | null => {
  const literal = textOf(expression, "A_Const", "sval", "sval")
  if (literal !== null) return literal
  const cast = child(expression, "TypeCast")
  if (cast !== undefined) {
    const { name } = nameOf(listOf(cast, "typeName", "names"))
    return plainTypes.test(name) ? "x" : name === "text" ? templateOf(child(cast, "arg")) : null
  }
  const call = child(expression, "FuncCall")
  if (isObject(call)) {
    const args = listOf(call, "args")
    if (ownFunction(call, "quote_ident")) return '"x"'
    if (ownFunction(call, "quote_literal", "quote_nullable")) return "'x'"
    const [template, ...values] = args
    const first = ownFunction(call, "format") ? templateOf(template) : null
    return first === null ? null : formatted(first, values.map(templateOf))
  }
  const operation = child(expression, "A_Expr")
  if (nameOf(listOf(operation, "name")).name !== "||") return null
  const [left, right] = [templateOf(child(operation, "lexpr")), templateOf(child(operation, "rexpr"))]
  return left === null || right === null ? null : left + right
}

const dynamic = "it runs statements that it makes while it runs (execute)"

/** The statement that `execute` runs: the value of the only column of `select <expression>`. */
const ofDynamic = (expression: string): Effect.Effect<StatementContents> =>
  Effect.gen(function* () {
    const { parse } = yield* Effect.promise(loadParser)
    const tree = yield* Effect.promise(() => parse(expression).catch(() => undefined))
    const value = child(tree, "stmts", "0", "stmt", "SelectStmt", "targetList", "0", "ResTarget", "val")
    const template = templateOf(value)
    if (template === null) return unknownPart(dynamic)
    const found = yield* contentsOf(template)
    return found.statements.length === 0 ? unknownPart(dynamic) : found
  })

/** The statements of the bodies in PL/pgSQL that a text holds. */
const ofBodies = (text: string): Effect.Effect<StatementContents> =>
  Effect.gen(function* () {
    const { parsePlPgSQL } = yield* Effect.promise(loadParser)
    const read = yield* Effect.promise(() =>
      parsePlPgSQL(text).then(
        (bodies) => queriesIn(bodies),
        (thrown: unknown) => (thrown instanceof Error ? thrown.message : String(thrown))
      )
    )
    if (typeof read === "string") return unknownPart(`a body in PL/pgSQL could not be read (${read})`)
    const found = yield* Effect.forEach(read, (query) =>
      query.dynamic ? ofDynamic(query.text) : contentsOf(query.text)
    )
    return joined(found)
  })

/**
 * Reads a text of one or more statements, and the bodies in it. With `runs`, the bodies of functions that it defines are left out:
 * they do not run yet.
 */
export const contentsOf = (text: string, part: "all" | "runs" = "all"): Effect.Effect<StatementContents> =>
  Effect.gen(function* () {
    const { parse } = yield* Effect.promise(loadParser)
    const tree = yield* Effect.promise(() => parse(text).catch(() => undefined))
    if (tree === undefined) return unknownPart("a statement in it could not be read")
    const statements = (tree.stmts ?? []).flatMap(({ stmt }) =>
      Object.entries(stmt ?? {}).flatMap(([kind, node]) => (isObject(node) ? [{ kind, node }] : []))
    )
    const isRun = ({ kind }: ParseTree) => part === "all" || kind !== "CreateFunctionStmt"
    const nodes = statements.flatMap((tree) => (isRun(tree) ? nodesIn({ [tree.kind]: tree.node }) : [tree]))
    const bodies = nodes.filter(isRun).flatMap((node) => bodyOf(node) ?? [])
    const foreign = bodies.filter(({ language }) => !["sql", "plpgsql", "internal"].includes(language))
    const inner = [
      ...foreign.map(({ language }) => unknownPart(`a body in the language ${language}`)),
      ...(yield* Effect.forEach(
        bodies.filter(({ language }) => language === "sql"),
        ({ text }) => contentsOf(text)
      )),
      ...(bodies.some(({ language }) => language === "plpgsql") ? [yield* ofBodies(text)] : [])
    ]
    return joined([{ statements, nodes, unknown: [] }, ...inner])
  })
