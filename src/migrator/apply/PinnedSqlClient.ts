import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import type * as SqlConnection from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Connection } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"

/** Makes the `cause` of the SqlError from the statement that PostgreSQL refused. */
export type FailureOf = (statement: string, cause: DatabaseError) => unknown

const connectionOf = (connection: Connection, failureOf: FailureOf): SqlConnection.Connection => {
  const rows = (sql: string, params: ReadonlyArray<unknown>) =>
    // No deadline on our side: only the author's timeouts limit a statement.
    connection.query(sql, params, { deadline: null }).pipe(
      Effect.map((result) => result.rows),
      Effect.mapError((cause) => new SqlError({ cause: failureOf(sql, cause), message: cause.message }))
    )
  const transformed: SqlConnection.Connection["execute"] = (sql, params, transform) =>
    Effect.map(rows(sql, params), (found) => (transform === undefined ? found : transform([...found])))
  return {
    execute: transformed,
    executeUnprepared: transformed,
    executeRaw: (sql, params) =>
      connection
        .query(sql, params, { deadline: null })
        .pipe(Effect.mapError((cause) => new SqlError({ cause: failureOf(sql, cause), message: cause.message }))),
    executeStream: (sql, params, transform) => Stream.fromIterableEffect(transformed(sql, params, transform)),
    executeValues: (sql, params) => Effect.map(rows(sql, params), (found) => found.map((row) => Object.values(row)))
  }
}

/**
 * An SqlClient over the migrator's one session, so that a data revision works under the lock. With `inTransaction` it works in the
 * transaction that records it, and `sql.withTransaction` is a savepoint.
 *
 * This relies on how @effect/sql counts transactions: depth 0 is a BEGIN, and a connection provided at depth 0 makes the next
 * one a SAVEPOINT.
 */
export const pinned = (connection: Connection, failureOf: FailureOf) => {
  const sqlConnection = connectionOf(connection, failureOf)
  const client = Reactivity.make.pipe(
    Effect.flatMap((reactivity) =>
      SqlClient.make({
        acquirer: Effect.succeed(sqlConnection),
        compiler: PgClient.makeCompiler(),
        spanAttributes: [["db.system.name", "postgresql"]]
      }).pipe(Effect.provideService(Reactivity.Reactivity, reactivity))
    )
  )
  return {
    provide: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.provideServiceEffect(work, SqlClient.SqlClient, client),
    inTransaction: <A, E, R>(work: Effect.Effect<A, E, R>) =>
      Effect.provideService(work, SqlClient.TransactionConnection, [sqlConnection, 0])
  }
}
