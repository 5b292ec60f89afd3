import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { bodyOf, lineOfBody } from "../files/Bodies.ts"
import { locate, type Statement, type StatementUnreadable } from "../files/Statements.ts"

/** The place in a file at which a revision failed. */
export const SourceLocation = Schema.Struct({
  file: Schema.String,
  line: Schema.Number,
  /** From 1, in characters; absent if PostgreSQL reports no position. */
  column: Schema.optional(Schema.Number),
  /** The line of the file. */
  source: Schema.String,
  /** The statement, or a placeholder. In a RevisionFailed it is on one line, shortened and without secrets. */
  statement: Schema.String
})
export type SourceLocation = typeof SourceLocation.Type

/** Placeholder: a data revision failed outside its statements. */
export const ownCode = "(the module's own code)"

/** Placeholder: one of the migrator's own statements failed. */
export const ownRecord = "(the migrator's own record of this revision)"

/** Placeholder: the COMMIT failed. */
export const commitOfStep = "commit"

/** Placeholders shown where there is no SQL statement. */
export const placeholders: ReadonlySet<string> = new Set([ownCode, ownRecord, commitOfStep])

/** What the server said while a revision ran: a warning, or a notice such as those of `raise notice`. */
export const RevisionNotice = Schema.Struct({
  revision: Schema.String,
  direction: Schema.Literal("up", "down"),
  file: Schema.String,
  line: Schema.Number,
  severity: Schema.String,
  message: Schema.String,
  sqlstate: Schema.String,
  detail: Schema.optional(Schema.String),
  hint: Schema.optional(Schema.String)
})
export type RevisionNotice = typeof RevisionNotice.Type

/** In place of the DETAIL of an integrity violation, such as the key that is twice in a table. */
const withheld = "left out, since it holds values of rows; the log of PostgreSQL itself has it"

/** PostgreSQL refused a statement of a revision or its COMMIT, or a data revision's own code failed. */
export class RevisionFailed extends Schema.TaggedError<RevisionFailed>()("RevisionFailed", {
  service: ServiceName,
  revision: Schema.String,
  direction: Schema.Literal("up", "down", "verify"),
  location: SourceLocation,
  cause: DatabaseError,
  /** How often the step was attempted. */
  attempts: Schema.Number,
  /** The sessions that held the locks it waited for, as far as they could be seen. */
  blockers: Schema.Array(Schema.String),
  /** What the server said before it failed. */
  notices: Schema.Array(RevisionNotice),
  /** What happened to the revision, and the revision that the schema is at. */
  outcome: Schema.String
}) {
  readonly exitCode = ExitCode.failed
  /** The reason and the details for schema_event. The statement and PostgreSQL's detail may hold values, so they are left out. */
  get record() {
    const { attempts, blockers, direction } = this
    const { file, line } = this.location
    const { reason, sqlstate } = this.cause
    const state = sqlstate === undefined ? "" : ` (SQLSTATE ${sqlstate})`
    return { reason: `${file}:${line}: ${reason}${state}`, direction, sqlstate, file, line, attempts, blockers }
  }
  /** The line of the file with a caret below the column. It keeps tabs, so that the caret is right in any terminal. */
  get excerpt(): string {
    const { column, line, source } = this.location
    const margin = String(line)
    const caret =
      column === undefined
        ? ""
        : `\n  ${" ".repeat(margin.length)} | ${[...source]
            .slice(0, column - 1)
            .join("")
            .replace(/[^\t]/g, " ")}^`
    return `  ${margin} | ${source}${caret}`
  }
  /** What the JSON report of a command adds to the message. */
  get details(): object {
    const { column, file, line, statement } = this.location
    const { context, sqlstate } = this.cause
    return { file, line, statement, column, sqlstate, context, notices: this.notices }
  }
  override get message(): string {
    const { file, line, column, statement } = this.location
    const state =
      this.cause.sqlstate !== undefined
        ? `SQLSTATE ${this.cause.sqlstate}`
        : statement === ownCode
          ? "thrown by the revision's own code"
          : "no SQLSTATE: the server did not answer"
    const more = [
      ["detail", this.cause.detail ?? (this.cause.sqlstate?.startsWith("23") === true ? withheld : undefined)],
      ["hint", this.cause.hint],
      ["context", this.cause.context?.replaceAll("\n", "\n           ")],
      ["attempts", this.attempts > 1 ? String(this.attempts) : undefined],
      ["blocked by", this.blockers.length === 0 ? undefined : this.blockers.join(", ")]
    ].flatMap(([name, value]) => (value === undefined ? [] : [`  ${name}: ${value}\n`]))
    return (
      `${this.service}: revision ${this.revision} (${this.direction}) failed at ${file}:${line}` +
      `${column === undefined ? "" : `:${column}`}: ${this.cause.reason} (${state})\n` +
      `  statement: ${statement}\n${more.join("")}` +
      `  ${this.outcome}. Correct the cause, then: pnpm migrate --service ${this.service} status`
    )
  }
}

/** Characters of a statement that a message shows. */
const longest = 200

/** Joins the lines of a text and shortens it, for a message. */
export const onOneLine = (text: string): string => {
  const line = text.replace(/\s+/g, " ").trim()
  return line.length > longest ? `${line.slice(0, longest)}…` : line
}

/** The line within a DO block, from 1, in the server's CONTEXT: the last line there is that of the outermost block. */
const lineOfBlock = ({ context }: Pick<DatabaseError, "context">): number | undefined => {
  const [, line] = /\binline_code_block\D+(\d+)[^\n]*$/.exec(context ?? "") ?? []
  return line === undefined ? undefined : Number(line)
}

/** Locates `error` in `statement`: at its position, at the line of a DO block, or else at the statement's first line. */
export const locationOf = (
  file: string,
  statement: Statement,
  error: Pick<DatabaseError, "position" | "context">
): SourceLocation => {
  const inBlock = error.position === undefined ? lineOfBlock(error) : undefined
  const body = inBlock === undefined ? undefined : bodyOf(statement.text)
  if (inBlock !== undefined && body !== undefined) {
    const { line, source } = lineOfBody(statement.text, body, inBlock)
    return { file, line: statement.line + line, source, statement: statement.text }
  }
  const { line, column, source } = locate(statement.text, (error.position ?? 1) - 1)
  const position = { line: statement.line + line - 1, column: error.position && column }
  return { file, ...position, source, statement: statement.text }
}

/**
 * Adds to the lines of a CONTEXT the place in `file` of each function that one of `statements` creates: PostgreSQL counts lines
 * from the beginning of the function's body.
 */
export const withPlaces = (file: string, statements: ReadonlyArray<Statement>, error: DatabaseError): DatabaseError => {
  if (error.context === undefined) return error
  const placed = (entry: string): string => {
    const [, name, line] = /function ([^()]+)\(.*\)\D+(\d+)/.exec(entry) ?? []
    if (name === undefined) return entry
    const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
    const creates = new RegExp(`^create\\s+(?:or\\s+replace\\s+)?(?:function|procedure)\\s+${escaped}\\s*\\(`, "i")
    const statement = statements.findLast(({ text }) => creates.test(text))
    const body = statement && bodyOf(statement.text)
    return statement === undefined || body === undefined
      ? entry
      : `${entry} (${file}:${statement.line + lineOfBody(statement.text, body, Number(line)).line})`
  }
  return new DatabaseError({ ...error, context: error.context.split("\n").map(placed).join("\n") })
}

/** Locates a syntax error that the parser found, as an error of the server would be located. */
export const locationOfSyntaxError = (
  file: string,
  { column, line, source, statement }: StatementUnreadable
): SourceLocation => ({ file, line, column, source, statement })
