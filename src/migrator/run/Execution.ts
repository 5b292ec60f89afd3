import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Connection, QueryResult } from "../../platform/Connection.ts"
import { DatabaseError } from "../../platform/DatabaseError.ts"
import type { Section } from "../revision/Revision.ts"
import { type Statement, split } from "../revision/Statements.ts"
import { withProgress } from "./Progress.ts"
import { Place, placeOf, placeOfUnreadable } from "./RevisionFailed.ts"

/** A statement failed, and where. Becomes a RevisionFailed once it is known what became of the whole. */
export class StatementFailed extends Schema.TaggedError<StatementFailed>()("StatementFailed", {
  place: Place,
  direction: Schema.Literal("up", "down", "verify"),
  cause: DatabaseError,
  /** An index that the statement made and could not finish. */
  invalidIndex: Schema.optional(Schema.String)
}) {
  override get message(): string {
    return `${this.place.file}:${this.place.line}: ${this.cause.message}`
  }
}

/** The statements of a section with what is needed to run and to blame them. */
export interface Script {
  readonly file: string
  readonly section: Section
  readonly direction: StatementFailed["direction"]
  readonly statements: ReadonlyArray<Statement>
}

export const readScript = (
  file: string,
  section: Section,
  direction: StatementFailed["direction"]
): Effect.Effect<Script, StatementFailed> =>
  split(section).pipe(
    Effect.map((statements) => ({ file, section, direction, statements })),
    Effect.mapError((unreadable) => {
      const cause = new DatabaseError({ phase: "statement", reason: unreadable.problem, sqlstate: "42601" })
      return new StatementFailed({ place: placeOfUnreadable(file, unreadable), direction, cause })
    })
  )

/** Runs one statement, without a deadline of ours: how long a revision may take is for its author and its timeouts. */
export const runStatement = (
  connection: Connection,
  script: Script,
  statement: Statement
): Effect.Effect<QueryResult, StatementFailed> =>
  withProgress(
    `${script.file}:${statement.line}`,
    connection.query(statement.text, undefined, { deadline: null })
  ).pipe(
    Effect.mapError((cause) => {
      const { direction, file } = script
      return new StatementFailed({ place: placeOf(file, statement, cause), direction, cause })
    })
  )

const milliseconds = (timeout: Option.Option<Duration.Duration>, fallback: Duration.DurationInput): string =>
  `${Math.round(Duration.toMillis(Option.getOrElse(timeout, () => fallback)))}ms`

/** Sets the section's timeouts, for the transaction or for the session, and answers the server's clock as text. */
export const setTimeouts = (connection: Connection, section: Section, lockTimeout: Duration.DurationInput) =>
  connection
    .query(
      `select pg_catalog.set_config('lock_timeout', $1, $3), pg_catalog.set_config('statement_timeout', $2, $3),
         pg_catalog.clock_timestamp()::text as now`,
      [
        milliseconds(section.lockTimeout, lockTimeout),
        milliseconds(section.statementTimeout, Duration.zero),
        section.transaction
      ]
    )
    .pipe(Effect.map(({ rows }) => String(rows[0]?.["now"])))

const isFalse = (result: QueryResult): boolean => result.rows.some((row) => Object.values(row)[0] === false)

/**
 * Runs assertions inside the transaction that stands open, unable to write. One fails by raising an error, or by answering
 * a row whose first column is false. The savepoint's end makes the transaction writable again.
 */
export const runVerify = (
  connection: Connection,
  script: Script
): Effect.Effect<void, StatementFailed | DatabaseError> =>
  Effect.gen(function* () {
    yield* connection.query("savepoint verify; set local transaction_read_only = on")
    for (const statement of script.statements) {
      if (isFalse(yield* runStatement(connection, script, statement))) {
        const cause = new DatabaseError({
          phase: "statement",
          reason: "the assertion answered false",
          sqlstate: "P0004"
        })
        const place = placeOf(script.file, statement, cause)
        return yield* new StatementFailed({ place, direction: "verify", cause })
      }
    }
    yield* connection.query("rollback to savepoint verify; release savepoint verify")
  })
