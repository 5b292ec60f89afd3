import * as SqlClient from "@effect/sql/SqlClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type DatabaseError, databaseError } from "./DatabaseError.ts"

/**
 * Runs a read in a read-only transaction that the server itself ends after `deadline`; the caller waits no longer, whatever the
 * server does. The client's own cancel request would need a second session of the same small pool, so the statement is not
 * interrupted: at the deadline the caller leaves, and the server's limit frees the session.
 */
export const limitedRead = <A, E>(
  sql: SqlClient.SqlClient,
  deadline: Duration.DurationInput,
  read: Effect.Effect<A, E>
): Effect.Effect<A, DatabaseError> => {
  const millis = Math.ceil(Duration.toMillis(deadline))
  return Effect.flatMap(sql.reserve, (session) => {
    const run = (text: string) => session.executeUnprepared(text, [], undefined)
    return Effect.zipRight(
      run(`begin read only; set local statement_timeout = ${millis}`),
      Effect.provideService(read, SqlClient.TransactionConnection, [session, 0])
    ).pipe(Effect.ensuring(Effect.ignore(run("rollback"))))
  }).pipe(
    Effect.scoped,
    Effect.mapError((cause) => databaseError("statement", cause)),
    Effect.uninterruptible,
    Effect.disconnect,
    Effect.interruptible,
    Effect.timeoutFail({
      duration: deadline,
      onTimeout: () => databaseError("statement", new Error("the database did not answer in time"))
    })
  )
}
