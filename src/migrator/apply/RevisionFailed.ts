import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ServiceName } from "../../domain/Service.ts"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { loadParser, locate, readTree, type Statement, type StatementUnreadable } from "../files/Statements.ts"

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
const placeholders: ReadonlySet<string> = new Set([ownCode, ownRecord, commitOfStep])

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
    return { file, line, statement, column, sqlstate: this.cause.sqlstate }
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
      ["detail", this.cause.detail],
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

/** Characters of a statement that a message shows. */
const longest = 200

/** Joins the lines of a text and shortens it, for a message. */
export const onOneLine = (text: string): string => {
  const line = text.replace(/\s+/g, " ").trim()
  return line.length > longest ? `${line.slice(0, longest)}…` : line
}

/** Locates `error` in `statement`: at its position, or else at the statement's first line. */
export const locationOf = (file: string, statement: Statement, error: DatabaseError): SourceLocation => {
  const { line, column, source } = locate(statement.text, (error.position ?? 1) - 1)
  const position = { line: statement.line + line - 1, column: error.position && column }
  return { file, ...position, source, statement: statement.text }
}

/** Locates a syntax error that the parser found, as an error of the server would be located. */
export const locationOfSyntaxError = (file: string, { line, column, source }: StatementUnreadable): SourceLocation => {
  return { file, line, column, source, statement: source }
}

/**
 * Kinds of statements whose string literals may be passwords or connection strings. The body of a `do` block is one literal
 * that may contain such a statement. A statement that cannot be parsed may be of any kind.
 */
const secretive = new Set(
  `AlterForeignServerStmt AlterRoleSetStmt AlterRoleStmt AlterSubscriptionStmt AlterUserMappingStmt
  CreateForeignServerStmt CreateRoleStmt CreateSubscriptionStmt CreateUserMappingStmt DoStmt unreadable`.split(/\s+/)
)

const hidden = "***"

/** True for a literal or a comment. The scanner does not name every form (`U&'…'`), but only literals hold an apostrophe. */
const isHidden = (name: string, text: string): boolean =>
  /^(SCONST|SQL_COMMENT|C_COMMENT)$/.test(name) || text.includes("'")

/** Masks literals and comments, and returns the masked parts too. Text that cannot be scanned is cut at its first quote. */
const masked = (text: string) =>
  Effect.promise(async () => {
    const { scan } = await loadParser()
    const result = await scan(text).catch(() => undefined)
    if (result === undefined) {
      const cut = text.search(/['$]/)
      return cut === -1
        ? { shown: text, taken: [] }
        : { shown: `${text.slice(0, cut)}${hidden}`, taken: [text.slice(cut)] }
    }
    // The scanner's offsets are bytes of UTF-8.
    const bytes = Buffer.from(text)
    const found = result.tokens.filter(({ text: token, tokenName }) => isHidden(tokenName, token))
    const ends = [0, ...found.map(({ end }) => end)]
    const kept = ends.map((from, index) => bytes.subarray(from, found[index]?.start ?? bytes.length).toString())
    return {
      shown: kept.join(hidden),
      taken: found.map(({ end, start }) => bytes.subarray(start, end).toString())
    }
  })

/** True if a message repeats a word of the masked parts. */
const repeats = (message: string, taken: ReadonlyArray<string>): boolean =>
  taken.flatMap((literal) => literal.split(/[\s='"$\\]+/)).some((word) => word.length >= 3 && message.includes(word))

interface LocatedFailure {
  readonly location: SourceLocation
  readonly cause: DatabaseError
}

/**
 * Prepares a location and its error for messages and logs: the statement on one line, with literals masked where they may be
 * secrets, and without the server's words about them. The parser decides which kind a statement is.
 */
export const withoutSecrets = Effect.fnUntraced(function* ({ cause, location }: LocatedFailure) {
  if (placeholders.has(location.statement)) return { cause, location }
  const { kind } = yield* readTree(location.statement)
  const { shown, taken } = secretive.has(kind) ? yield* masked(location.statement) : { shown: "", taken: [] }
  if (taken.length === 0) return { cause, location: { ...location, statement: onOneLine(location.statement) } }
  const { phase, sqlstate } = cause
  const reason = repeats(cause.reason, taken)
    ? "refused; the message is left out because it repeats what may be a secret"
    : cause.reason
  const statement = onOneLine(shown)
  const { file, line } = location
  return {
    location: { file, line, source: statement, statement },
    cause: new DatabaseError({ phase, reason, sqlstate })
  }
})
