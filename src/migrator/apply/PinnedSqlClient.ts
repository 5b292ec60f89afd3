import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import type * as SqlConnection from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Connection } from "../../platform/postgres/Connection.ts"
import type { DatabaseError } from "../../platform/postgres/DatabaseError.ts"

/** Names the statement that PostgreSQL refused; becomes the `cause` of the SqlError. */
export type Blame = (statement: string, cause: DatabaseError) => unknown

const wireOf = (connection: Connection, blame: Blame): SqlConnection.Connection => {
  const rows = (sql: string, params: ReadonlyArray<unknown>) =>
    // How long a statement may take is for the revision's author and its timeouts.
    connection.query(sql, params, { deadline: null }).pipe(
      Effect.map((result) => result.rows),
      Effect.mapError((cause) => new SqlError({ cause: blame(sql, cause), message: cause.message }))
    )
  const transformed: SqlConnection.Connection["execute"] = (sql, params, transform) =>
    Effect.map(rows(sql, params), (found) => (transform === undefined ? found : transform([...found])))
  return {
    execute: transformed,
    executeUnprepared: transformed,
    executeRaw: (sql, params) =>
      connection
        .query(sql, params, { deadline: null })
        .pipe(Effect.mapError((cause) => new SqlError({ cause: blame(sql, cause), message: cause.message }))),
    executeStream: (sql, params, transform) => Stream.fromIterableEffect(transformed(sql, params, transform)),
    executeValues: (sql, params) => Effect.map(rows(sql, params), (found) => found.map((row) => Object.values(row)))
  }
}

/**
 * An SqlClient over the migrator's one session, so that what a data revision does is under the lock and, with
 * `inTransaction`, in the very transaction that records it: `sql.withTransaction` is a savepoint then.
 *
 * That leans on how @effect/sql counts transactions: depth 0 is a BEGIN, and a connection that is given as already at depth
 * 0 makes the next one a SAVEPOINT.
 */
export const pinned = (connection: Connection, blame: Blame) => {
  const wire = wireOf(connection, blame)
  const client = Reactivity.make.pipe(
    Effect.flatMap((reactivity) =>
      SqlClient.make({
        acquirer: Effect.succeed(wire),
        compiler: PgClient.makeCompiler(),
        spanAttributes: [["db.system.name", "postgresql"]]
      }).pipe(Effect.provideService(Reactivity.Reactivity, reactivity))
    )
  )
  return {
    provide: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.provideServiceEffect(work, SqlClient.SqlClient, client),
    inTransaction: <A, E, R>(work: Effect.Effect<A, E, R>) =>
      Effect.provideService(work, SqlClient.TransactionConnection, [wire, 0])
  }
}
