import * as Effect from "effect/Effect"
import { loadParser } from "./Parser.ts"
import { blanked, quotedParts } from "./QuotedText.ts"
import { child, isObject, listOf, type ParseTree, readTree, textOf } from "./Statements.ts"

/** The body of a DO block or a function within its statement. Offsets are UTF-16 units; `end` is exclusive. */
export interface Body {
  readonly start: number
  readonly end: number
  /** The text between its quotes, as it is written. */
  readonly text: string
}

/** Finds the body of a `do`, `create function` or `create procedure`, which is a literal; undefined in other statements. */
export const bodyOf = (statement: string): Body | undefined => {
  const [, kind = ""] = /^\s*(?:(do)|create\s+(?:or\s+replace\s+)?(?:function|procedure))\b/i.exec(statement) ?? [
    "",
    "-"
  ]
  if (kind === "-") return undefined
  const parts = quotedParts(statement)
  const literals = parts.filter((part) => part.kind === "literal")
  const code = blanked(statement, parts)
  const body =
    kind === ""
      ? literals.find(({ start }) => /\bas\s*[eE]?$/i.test(code.slice(0, start)))
      : // The other literal is the name of the language.
        literals.sort((a, b) => b.end - b.start - (a.end - a.start))[0]
  if (body === undefined || !body.isClosed) return undefined
  const quote = /^(?:\$[^$]*\$|[eE]?')/.exec(statement.slice(body.start, body.end))?.[0] ?? ""
  const start = body.start + quote.length
  const end = body.end - quote.replace(/^[eE]/, "").length
  return { start, end, text: statement.slice(start, end) }
}

/** The place of a line of a body in its statement: the line, from 0, and its text. PL/pgSQL counts from the body's first quote. */
export const lineOfBody = (statement: string, body: Body, line: number) => {
  const before = statement.slice(0, body.start).split("\n").length - 1
  return { line: before + line - 1, source: statement.split("\n")[before + line - 1] ?? "" }
}

/** The SQL of a PL/pgSQL body. */
export interface BodySql {
  /** Its statements, and its expressions as `select …`. */
  readonly statements: ReadonlyArray<string>
  /** The expressions whose value `execute` runs. */
  readonly dynamic: ReadonlyArray<string>
}

/** Keys whose expression is a text that is run. */
const isDynamic = (kind: string, key: string): boolean =>
  key === "dynquery" || (key === "query" && (kind === "PLpgSQL_stmt_dynexecute" || kind === "PLpgSQL_stmt_dynfors"))

const collect = (
  node: unknown,
  kind: string,
  key: string,
  found: { statements: string[]; dynamic: string[] }
): void => {
  if (Array.isArray(node)) {
    for (const one of node) collect(one, kind, key, found)
    return
  }
  if (!isObject(node)) return
  const query = textOf(node, "PLpgSQL_expr", "query")
  if (query !== null) {
    // RawParseMode of PostgreSQL: 0 is a statement, 2 an expression, and higher ones are assignments.
    const mode = Number(child(node, "PLpgSQL_expr", "parseMode"))
    if (isDynamic(kind, key)) found.dynamic.push(query)
    else if (mode === 0) found.statements.push(query)
    else found.statements.push(`select ${mode === 2 ? query : query.replace(/^[^:=]*:?=/, "")}`)
    return
  }
  for (const [name, value] of Object.entries(node)) {
    if (name.startsWith("PLpgSQL_")) collect(value, name, key, found)
    else collect(value, kind, name, found)
  }
}

/** Whether a statement has a body in PL/pgSQL. The parser of PL/pgSQL aborts on a function without a body that is a text. */
const isPlpgsql = ({ kind, node }: ParseTree): boolean => {
  const options =
    kind === "DoStmt" ? listOf(node, "args") : kind === "CreateFunctionStmt" ? listOf(node, "options") : []
  const find = (name: string) => options.find((one) => textOf(one, "DefElem", "defname") === name)
  const language =
    textOf(find("language"), "DefElem", "arg", "String", "sval") ?? (kind === "DoStmt" ? "plpgsql" : null)
  return find("as") !== undefined && language === "plpgsql"
}

/** Reads the SQL of a statement's PL/pgSQL body. None if it has no such body; null if its text cannot be read. */
export const plpgsqlOf = (statement: string): Effect.Effect<BodySql | null> =>
  Effect.flatMap(readTree(statement), (tree) =>
    Effect.promise(async () => {
      const found: { statements: string[]; dynamic: string[] } = { statements: [], dynamic: [] }
      if (!isPlpgsql(tree)) return found
      const { parsePlPgSQL } = await loadParser()
      const functions: unknown = await parsePlPgSQL(statement).catch(() => null)
      if (functions === null) return null
      collect(functions, "", "", found)
      return found
    })
  )
