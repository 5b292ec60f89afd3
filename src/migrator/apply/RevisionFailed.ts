import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { locate, type Statement, type StatementUnreadable } from "../files/Statements.ts"

/** Where in a file a revision failed. */
export const SourceLocation = Schema.Struct({
  file: Schema.String,
  line: Schema.Number,
  /** From 1, in characters; absent where PostgreSQL names no position. */
  column: Schema.optional(Schema.Number),
  /** The line of the file. */
  source: Schema.String,
  /** The statement; in a RevisionFailed on one line, shortened and without secrets. Or what stands for it. */
  statement: Schema.String
})
export type SourceLocation = typeof SourceLocation.Type

/** Stands for a statement where a data revision failed outside of any. */
export const ownCode = "(the module's own code)"

/** Stands for the statements that the migrator adds to those of a revision. */
export const ownRecord = "(the migrator's own record of this revision)"

export const commitOfStep = "commit"

/** What stands for a statement and is none. */
export const placeholders: ReadonlySet<string> = new Set([ownCode, ownRecord, commitOfStep])

/** PostgreSQL refused a statement of a revision, or its COMMIT; or a data revision failed by itself. */
export class RevisionFailed extends Schema.TaggedError<RevisionFailed>()("RevisionFailed", {
  service: ServiceName,
  revision: Schema.String,
  direction: Schema.Literal("up", "down", "verify"),
  place: SourceLocation,
  cause: DatabaseError,
  /** How often it was tried. */
  attempts: Schema.Number,
  /** Who stood in the way, where that could be seen. */
  blockers: Schema.Array(Schema.String),
  /** What became of the revision, and where the schema stands. */
  outcome: Schema.String
}) {
  get exitCode() {
    return ExitCode.failed
  }
  /** What schema_event keeps: where, and the server's first words; neither the statement nor the detail, which hold values. */
  get record(): string {
    const { file, line } = this.place
    const state = this.cause.sqlstate === undefined ? "" : ` (SQLSTATE ${this.cause.sqlstate})`
    return `${file}:${line}: ${this.cause.reason}${state}`
  }
  /** The line of the file with a caret below the column. It keeps tabs, so that the caret is right in any terminal. */
  get excerpt(): string {
    const { column, line, source } = this.place
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
    const { column, file, line, statement } = this.place
    const { sqlstate } = this.cause
    return {
      file,
      line,
      statement,
      ...(column === undefined ? {} : { column }),
      ...(sqlstate === undefined ? {} : { sqlstate })
    }
  }
  override get message(): string {
    const { file, line, column, statement } = this.place
    const state =
      this.cause.sqlstate !== undefined
        ? `SQLSTATE ${this.cause.sqlstate}`
        : statement === ownCode
          ? "an error of the revision's own"
          : "no SQLSTATE: the server did not answer"
    // Of a broken constraint (class 23) the detail repeats a row: "Key (email)=(…) already exists". The server's log has it.
    const more = [
      ["detail", this.cause.sqlstate?.startsWith("23") ? undefined : this.cause.detail],
      ["hint", this.cause.hint],
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

const longest = 200

/** For messages: without line ends, shortened. */
export const onOneLine = (text: string): string => {
  const line = text.replace(/\s+/g, " ").trim()
  return line.length > longest ? `${line.slice(0, longest)}…` : line
}

/** Where `error` points in `statement`: its position, else the statement's first line. */
export const locationOf = (file: string, statement: Statement, error: DatabaseError): SourceLocation => {
  const { line, column, source } = locate(statement.text, (error.position ?? 1) - 1)
  return {
    file,
    line: statement.line + line - 1,
    source,
    statement: statement.text,
    ...(error.position === undefined ? {} : { column })
  }
}

/** The parser's refusal, in the shape in which the server would have stated it. */
export const locationOfSyntaxError = (file: string, { line, column, source }: StatementUnreadable): SourceLocation => ({
  file,
  line,
  column,
  source,
  statement: source
})
