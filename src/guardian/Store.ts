import type * as SqlClient from "@effect/sql/SqlClient"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type Connection, connect } from "../platform/postgres/Connection.ts"
import { Database } from "../platform/postgres/Database.ts"
import { DatabaseError, databaseError } from "../platform/postgres/DatabaseError.ts"

/** PostgreSQL could not be asked, or gave no answer in time; what was to be changed may have been. */
export class DatabaseUnavailable extends Schema.TaggedError<DatabaseUnavailable>()("DatabaseUnavailable", {
  reason: Schema.String
}) {
  override get message(): string {
    return (
      `the guardian's database cannot be asked: ${this.reason}. Try again later; where something was to be changed, ` +
      "look first whether it was"
    )
  }
}

/** How long one question may take, the wait for a connection included. */
export const deadline = Duration.seconds(5)

/** 22, 23: what was sent breaks a rule that the code before should have kept. That is a defect, not an outage. */
const isDefect = ({ sqlstate }: DatabaseError): boolean => /^2[23]/.test(sqlstate ?? "")

const unavailable = (error: DatabaseError) =>
  isDefect(error) ? Effect.die(error) : Effect.fail(new DatabaseUnavailable({ reason: error.reason }))

/**
 * Answers within the deadline, whatever the server does, and to its end where the caller must not be interrupted: what is told to
 * leave tells the fibers that it forked, those of a race among them, be it uninterruptible itself or not. So those are none of the caller's.
 */
export const bounded = <A, E>(question: Effect.Effect<A, E>): Effect.Effect<A, DatabaseUnavailable> =>
  question.pipe(
    Effect.catchAll((cause) => unavailable(databaseError("statement", cause))),
    // A stopped server answers a cancel request as little as the query: the caller does not wait for either.
    Effect.disconnect,
    // Also where the caller itself must not be interrupted: else the deadline would wait for the driver's own.
    Effect.interruptible,
    Effect.timeoutFail({
      duration: deadline,
      onTimeout: () => new DatabaseUnavailable({ reason: `no answer within ${Duration.format(deadline)}` })
    }),
    Effect.disconnect
  )

/** The guardian's database, as its repositories use it. */
export interface Store {
  readonly sql: SqlClient.SqlClient
  /**
   * A transaction on a session of its own: for what takes several statements, and for what must not happen after it was refused.
   * A statement of the pool that had no answer in time may still be done, once the server reads it.
   */
  readonly transaction: <A, E>(
    body: (connection: Connection) => Effect.Effect<A, E>
  ) => Effect.Effect<A, DatabaseUnavailable | Exclude<E, DatabaseError>>
}

/** Sessions beside the pool's, of all transactions of the process together: the server has to leave some to everybody. */
const sessions = Effect.unsafeMakeSemaphore(4)

/** Does it when its turn has come, to its end as `bounded` does. Whose turn does not come within the deadline has done nothing. */
const inTurn = <A, E>(work: Effect.Effect<A, E>): Effect.Effect<A, E | DatabaseUnavailable> =>
  Effect.flatMap(Deferred.make<void>(), (begun) => {
    const inOrder = sessions.withPermits(1)(Effect.zipRight(Deferred.succeed(begun, undefined), work))
    const tooLate = Deferred.await(begun).pipe(
      Effect.timeoutFail({
        duration: deadline,
        onTimeout: () => new DatabaseUnavailable({ reason: `others waited for it for ${Duration.format(deadline)}` })
      }),
      Effect.zipRight(Effect.never)
    )
    // Also where the caller itself must not be interrupted: who loses the race could not be ended.
    return Effect.disconnect(Effect.raceFirst(Effect.interruptible(inOrder), Effect.interruptible(tooLate)))
  })

export const store: Effect.Effect<Store, never, Database> = Effect.map(Database, (database) => ({
  sql: database.pool("guardian"),
  transaction: <A, E>(body: (connection: Connection) => Effect.Effect<A, E>) =>
    connect({
      url: database.url("guardian", "application"),
      applicationName: "gravitas guardian",
      connectTimeout: deadline,
      deadline
    }).pipe(
      Effect.flatMap((connection) => connection.transaction(body(connection))),
      Effect.scoped,
      inTurn,
      Effect.catchAll(
        (error): Effect.Effect<never, DatabaseUnavailable | Exclude<E, DatabaseError>> =>
          error instanceof DatabaseError ? unavailable(error) : Effect.fail(error as Exclude<E, DatabaseError>)
      )
    )
}))
