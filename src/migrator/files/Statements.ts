import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Section } from "./Revision.ts"

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
  source: Schema.String
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

/** Loaded on first use: the parser is 1.7 MB of WebAssembly, and a start at head needs none of it. */
const parser = Effect.promise(() => import("libpg-query"))

const unreadable = (section: Section, offset: number, problem: string): StatementUnreadable => {
  const { line, column, source } = locate(section.text, offset)
  return new StatementUnreadable({ problem, line: section.line + line - 1, column, source })
}

const syntaxError = (section: Section, thrown: unknown): StatementUnreadable => {
  const details: unknown = typeof thrown === "object" && thrown !== null ? Reflect.get(thrown, "sqlDetails") : undefined
  const position =
    typeof details === "object" && details !== null ? Number(Reflect.get(details, "cursorPosition")) : Number.NaN
  const problem = thrown instanceof Error ? thrown.message : String(thrown)
  return unreadable(section, Number.isInteger(position) ? position : 0, problem)
}

/**
 * Splits a section into its statements, in order; at least one. Refuses BEGIN, COMMIT and similar statements, since the migrator
 * controls the transaction.
 */
export const splitStatements = Effect.fn("Statements.split")(function* (
  section: Section
): Effect.fn.Return<ReadonlyArray<Statement>, StatementUnreadable> {
  const { parse } = yield* parser
  const tree = yield* Effect.tryPromise({
    try: () => parse(section.text),
    catch: (thrown) => syntaxError(section, thrown)
  })
  // The parser's offsets are bytes of UTF-8.
  const bytes = Buffer.from(section.text)
  const statements: Array<Statement> = []
  for (const { stmt, stmt_location: start = 0, stmt_len: length } of tree.stmts ?? []) {
    const before = bytes.subarray(0, start).toString()
    if (stmt !== undefined && "TransactionStmt" in stmt) {
      return yield* unreadable(
        section,
        [...before].length,
        section.transaction
          ? "the migrator opens and ends the transaction; remove this statement, or use transaction:false"
          : "with transaction:false each statement commits by itself; remove this statement"
      )
    }
    const raw = bytes.subarray(start, length === undefined || length === 0 ? bytes.length : start + length).toString()
    const lead = raw.length - raw.trimStart().length
    statements.push({
      text: raw.trim(),
      line: section.line + (before + raw.slice(0, lead)).split("\n").length - 1
    })
  }
  if (statements.length === 0) return yield* unreadable(section, 0, "there is no statement here")
  return statements
})
