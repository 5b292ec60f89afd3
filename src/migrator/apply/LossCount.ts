import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Connection, QueryResult } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"
import { type QualifiedName, quotedName } from "../files/ParseTree.ts"

/** `some`: counting takes too long. `absent`: the table or column does not exist. `hidden`: this role may not see every row. */
export type RowCount = number | "some" | "absent" | "hidden"

/** Runs a query under settings that end with it. */
export type BoundedQuery = (settings: string, text: string) => Effect.Effect<QueryResult, DatabaseError>

/** Runs the query in a transaction of its own. */
export const inOwnTransaction =
  (connection: Connection): BoundedQuery =>
  (settings, text) =>
    connection.transaction(Effect.zipRight(connection.query(settings), connection.query(text)))

/** Runs the query in a savepoint of the open transaction, which an error of the query does not abort. */
export const inSavepoint =
  (connection: Connection): BoundedQuery =>
  (settings, text) => {
    const back = connection.query("rollback to savepoint loss; release savepoint loss")
    return connection.query(`savepoint loss; ${settings}`).pipe(
      Effect.zipRight(connection.query(text)),
      Effect.tapError(() => Effect.ignore(back)),
      Effect.zipLeft(back)
    )
  }

/**
 * Counts the rows of a table, or the values of a column that are not null. With row_security off PostgreSQL refuses to count
 * where a policy would hide rows, instead of leaving them out.
 */
export const countRows = (
  bounded: BoundedQuery,
  table: QualifiedName,
  column: string | null,
  longest: Duration.Duration
): Effect.Effect<RowCount, DatabaseError> => {
  const value = column === null ? null : quotedName({ schema: null, name: column })
  const settings =
    "set local transaction_read_only = on; set local row_security = off; " +
    `set local statement_timeout = ${Math.ceil(Duration.toMillis(longest))}`
  const some = bounded(
    settings,
    `select 1 from ${quotedName(table)} ${value === null ? "" : `where ${value} is not null`} limit 1`
  ).pipe(Effect.map(({ rows }): RowCount => (rows.length === 0 ? 0 : "some")))
  return bounded(settings, `select count(${value ?? "*"}) as rows from ${quotedName(table)}`).pipe(
    Effect.map(({ rows }): RowCount => Number(rows[0]?.["rows"])),
    Effect.catchAll((error) => {
      // 42P01, 3F000: no such table. 42703: no such column. 42501: not permitted. 57014: statement_timeout passed.
      if (["42P01", "3F000", "42703"].includes(error.sqlstate ?? "")) return Effect.succeed<RowCount>("absent")
      if (error.sqlstate === "42501") return Effect.succeed<RowCount>("hidden")
      if (error.sqlstate !== "57014") return Effect.fail(error)
      return Effect.catchIf(
        some,
        ({ sqlstate }) => sqlstate === "57014",
        () => Effect.succeed<RowCount>("some")
      )
    })
  )
}
