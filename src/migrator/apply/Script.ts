import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { withProgress } from "../../platform/cli/TerminalText.ts"
import type { Connection, QueryResult } from "../../platform/postgres/Connection.ts"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import type { ServerNotice } from "../../platform/postgres/ServerNotice.ts"
import type { Section } from "../files/Revision.ts"
import { child, listOf, type ParseTree, readTree, type Statement, splitStatements } from "../files/Statements.ts"
import type { Step } from "../plan/Plan.ts"
import type { NoticeOf } from "./Notices.ts"
import { locationOf, locationOfSyntaxError, SourceLocation, withPlaces } from "./RevisionFailed.ts"
import type { QueryGroup } from "./StepQueries.ts"

/** A statement failed. StepRunner turns it into a RevisionFailed once the outcome of the whole step is known. */
export class StatementFailed extends Schema.TaggedError<StatementFailed>()("StatementFailed", {
  location: SourceLocation,
  direction: Schema.Literal("up", "down", "verify"),
  cause: DatabaseError,
  /** An index that the statement created and left invalid. */
  invalidIndex: Schema.optional(Schema.String),
  /** A partition that the statement left half detached. */
  pendingDetach: Schema.optional(Schema.String),
  /** True if the parser refused the section, so that no statement was sent. */
  unread: Schema.optional(Schema.Boolean)
}) {
  get exitCode() {
    return this.unread === true ? ExitCode.invalidFiles : ExitCode.failed
  }
  override get message(): string {
    return `${this.location.file}:${this.location.line}: ${this.cause.message}`
  }
}

/** The statements of a section, with what an error message needs. */
export interface Script {
  readonly file: string
  readonly section: Section
  readonly direction: StatementFailed["direction"]
  readonly statements: ReadonlyArray<Statement>
  /** Receives what the server says while a statement runs. */
  readonly noticed?: NoticeOf
}

/** The option of a query that passes its notices on. */
const noticesOf = ({ noticed }: Script, statement: Statement) =>
  noticed === undefined ? {} : { noticed: (notice: ServerNotice) => noticed(statement, notice) }

/** Splits a section into its statements. Fails with StatementFailed at a syntax error. */
export const readScript = (
  file: string,
  section: Section,
  direction: StatementFailed["direction"]
): Effect.Effect<Script, StatementFailed> =>
  splitStatements(section).pipe(
    Effect.map((statements) => ({ file, section, direction, statements })),
    Effect.mapError((unreadable) => {
      const cause = new DatabaseError({ phase: "statement", reason: unreadable.problem, sqlstate: "42601" })
      return new StatementFailed({ location: locationOfSyntaxError(file, unreadable), direction, cause, unread: true })
    })
  )

/** Splits the assertions of a step; only an upgrade has them. */
export const readAssertions = (step: Step): Effect.Effect<Script | undefined, StatementFailed> =>
  step._tag === "Apply" && Option.isSome(step.revision.verify)
    ? readScript(step.revision.file, step.revision.verify.value, "verify")
    : Effect.succeed(undefined)

/** The statements of a section, as `readScript` splits them. */
export const statementsOf = (file: string, section: Section, direction: StatementFailed["direction"]) =>
  Effect.map(readScript(file, section, direction), ({ statements }) => statements)

/** No deadline on our side: only its author's `statement_timeout` limits a statement. */
const unlimited = { deadline: null } as const

const failureOf = (script: Script, statement: Statement, error: DatabaseError): StatementFailed => {
  const { direction, file, statements } = script
  const cause = withPlaces(file, statements, error)
  return new StatementFailed({ location: locationOf(file, statement, error), direction, cause })
}

/** Fails with the error of the statement at `index`; that of a closed session is the first statement's. */
const failureAt = (script: Script, index: number, cause: DatabaseError) => {
  const statement = script.statements[index]
  return statement === undefined
    ? Effect.dieMessage("a script has no statement of this number")
    : failureOf(script, statement, cause)
}

/** Runs one statement, with a line of progress while it runs. */
export const runStatement = (
  connection: Connection,
  script: Script,
  statement: Statement
): Effect.Effect<QueryResult, StatementFailed> =>
  Effect.mapError(
    withProgress(
      `${script.file}:${statement.line}`,
      connection.query(statement.text, undefined, { ...unlimited, ...noticesOf(script, statement) })
    ),
    (cause) => failureOf(script, statement, cause)
  )

/** The statements of a script, to be sent together: those behind an error do not run. */
export const scriptQueries = (script: Script): Effect.Effect<QueryGroup<StatementFailed>> =>
  Effect.clockWith((clock) => {
    const { file, noticed, statements } = script
    return Effect.succeed({
      // A line of progress names the statement that runs.
      queries: statements.map(({ text }, index) => ({ text, flush: index < statements.length - 1 })),
      failed: ({ cause, index }) => failureAt(script, index, cause),
      running: (index) => ({ what: `${file}:${statements[index]?.line}`, since: clock.unsafeCurrentTimeMillis() }),
      noticed: (notice, index) => noticed?.(statements[index] ?? null, notice)
    })
  })

const milliseconds = (timeout: Option.Option<Duration.Duration>, fallback: Duration.DurationInput): string =>
  `${Math.round(Duration.toMillis(Option.getOrElse(timeout, () => fallback)))}ms`

/** The columns of a `select` that sets the section's timeouts for the transaction, or for the session outside one. */
export const timeouts = (section: Section, lockTimeout: Duration.DurationInput): string =>
  `pg_catalog.set_config('lock_timeout', '${milliseconds(section.lockTimeout, lockTimeout)}', ${section.transaction}),
         pg_catalog.set_config('statement_timeout', '${milliseconds(section.statementTimeout, Duration.zero)}', ${section.transaction})`

/** Sets the section's timeouts. Returns the server's clock as text. */
export const setTimeouts = (connection: Connection, section: Section, lockTimeout: Duration.DurationInput) =>
  Effect.map(
    connection.query(`select ${timeouts(section, lockTimeout)}, pg_catalog.clock_timestamp()::text as now`),
    ({ rows }) => String(rows[0]?.["now"])
  )

/** True for a query whose rows must be `true`. Other statements (`do`, `select … into`) hold unless they fail. */
export const isQuestion = ({ kind, node }: ParseTree): boolean =>
  kind === "SelectStmt" && child(node, "intoClause") === undefined

const notBoolean = "the assertion returned a value other than true or false"

/** Why an assertion does not hold, or null. */
const objection = (tree: ParseTree, { rows }: QueryResult): string | null => {
  if (rows.length === 0) return isQuestion(tree) ? "the assertion returned no row" : null
  // Of several columns with one name the driver keeps the last, so the first value could be of another column.
  const lost = rows.some((row) => Object.keys(row).length < listOf(tree.node, "targetList").length)
  if (lost) return "two columns of the assertion have the same name; rename one"
  const wrong = rows.find((row) => Object.values(row)[0] !== true)
  if (wrong === undefined) return null
  const answer = Object.values(wrong)[0]
  return answer === false || answer === null ? `the assertion returned ${answer}` : notBoolean
}

/**
 * Runs assertions inside the open transaction, read-only. A query holds if it returns at least one row and the first column of
 * each is boolean true; any other statement holds if it does not fail. The end of the savepoint makes the transaction
 * writable again.
 */
export const runVerify = Effect.fnUntraced(function* (connection: Connection, script: Script) {
  yield* connection.query("savepoint verify; set local transaction_read_only = on")
  for (const statement of script.statements) {
    const tree = yield* readTree(statement.text)
    const reason = objection(tree, yield* runStatement(connection, script, statement))
    if (reason !== null) {
      const cause = new DatabaseError({ phase: "statement", reason, sqlstate: "P0004" })
      const location = locationOf(script.file, statement, cause)
      return yield* new StatementFailed({ location, direction: "verify", cause })
    }
  }
  yield* connection.query("rollback to savepoint verify; release savepoint verify")
})
