import type * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { withinLimit } from "../platform/os/Deadline.ts"
import { type Connection, connect } from "../platform/postgres/Connection.ts"
import { Database } from "../platform/postgres/Database.ts"
import { DatabaseError, databaseError } from "../platform/postgres/DatabaseError.ts"
import { limitedRead } from "../platform/postgres/LimitedRead.ts"

/** PostgreSQL could not be asked, or did not answer in time. A change that was asked for may have been made. */
export class DatabaseUnavailable extends Schema.TaggedError<DatabaseUnavailable>()("DatabaseUnavailable", {
  reason: Schema.String
}) {
  readonly code = "database_unavailable"
  override get message(): string {
    return (
      `the guardian's database cannot be asked: ${this.reason}. Try again later; where something was to be changed, ` +
      "look first whether it was"
    )
  }
}

/** How long one query may take, the wait for a connection included. */
export const deadline = Duration.seconds(5)

/** Classes 22 and 23: the values break a rule of the database that the code should have kept. A defect, not an outage. */
const isDefect = ({ sqlstate }: DatabaseError): boolean => /^2[23]/.test(sqlstate ?? "")

const unavailable = (error: DatabaseError) =>
  isDefect(error) ? Effect.die(error) : Effect.fail(new DatabaseUnavailable({ reason: error.reason }))

/** Answers within the deadline even where the server hangs, and to its end where the caller must not be interrupted. */
export const bounded = <A, E>(question: Effect.Effect<A, E>): Effect.Effect<A, DatabaseUnavailable> =>
  question.pipe(
    Effect.catchAll((cause) => unavailable(databaseError("statement", cause))),
    // A stopped server answers a cancel request as little as the query: the caller does not wait for either.
    withinLimit({
      duration: deadline,
      onTimeout: () => new DatabaseUnavailable({ reason: `no answer within ${Duration.format(deadline)}` })
    })
  )

/** Asks as `bounded` does, or as the given `run`, and decodes the rows; rows of another shape are a defect. */
export const rowsOf = <A, I>(row: Schema.Schema<A, I>) => {
  const decode = decodedRows(row)
  return <E>(
    question: Effect.Effect<unknown, E>,
    run: (typeof GuardianDatabase.Service)["read"] = bounded
  ): Effect.Effect<ReadonlyArray<A>, DatabaseUnavailable> => decode(run(question))
}

/** Decodes the rows of a bounded query; rows of another shape are a defect. */
export const decodedRows = <A, I>(row: Schema.Schema<A, I>) => {
  const decode = Schema.decodeUnknownSync(Schema.Array(row))
  return <E>(rows: Effect.Effect<unknown, E>): Effect.Effect<ReadonlyArray<A>, E> =>
    Effect.map(rows, (found) => decode(found))
}

/** A page of rows, newest first. */
export interface PageQuery {
  /** One agent's rows alone. */
  readonly agent?: string | undefined
  readonly limit: number
  /** `no` of the last row of the page before. */
  readonly before?: string | undefined
}

/** Transactions of the process that are open at once: each has a session beside the pool's, and the server has few. */
const maximumTransactions = 4

/** Runs `work` when its turn has come, to its end. Work whose turn does not come within the deadline has not begun. */
const inTurn =
  (turns: Effect.Semaphore) =>
  <A, E>(work: Effect.Effect<A, E>): Effect.Effect<A, E | DatabaseUnavailable> =>
    Effect.flatMap(Deferred.make<void>(), (begun) => {
      const inOrder = turns.withPermits(1)(Effect.zipRight(Deferred.succeed(begun, undefined), work))
      const tooLate = Deferred.await(begun).pipe(
        Effect.timeoutFail({
          duration: deadline,
          onTimeout: () => new DatabaseUnavailable({ reason: `others waited for it for ${Duration.format(deadline)}` })
        }),
        Effect.zipRight(Effect.never)
      )
      // Interruptible also where the caller is not: else the loser of the race could not be ended.
      return Effect.disconnect(Effect.raceFirst(Effect.interruptible(inOrder), Effect.interruptible(tooLate)))
    })

/** The guardian's database, as its repositories use it. */
export class GuardianDatabase extends Context.Tag("guardian/GuardianDatabase")<
  GuardianDatabase,
  {
    readonly sql: SqlClient.SqlClient
    /** Runs one statement within the deadline, by the short way: for what each request of an agent runs. */
    readonly query: (
      text: string,
      values: ReadonlyArray<unknown>
    ) => Effect.Effect<ReadonlyArray<unknown>, DatabaseUnavailable>
    /** Runs a statement that reads a list or a page: on few sessions of their own, and the server too ends it at the deadline. */
    readonly read: <A, E>(statement: Effect.Effect<A, E>) => Effect.Effect<A, DatabaseUnavailable>
    /**
     * Runs several statements in a transaction on a session of its own, and what must not happen after it was refused: a
     * statement of the pool that was not answered in time may still be done, once the server reads it.
     */
    readonly transaction: <A, E>(
      body: (connection: Connection) => Effect.Effect<A, E>
    ) => Effect.Effect<A, DatabaseUnavailable | Exclude<E, DatabaseError>>
  }
>() {
  static readonly layer = Layer.effect(
    GuardianDatabase,
    Effect.gen(function* () {
      const database = yield* Database
      const takeTurn = inTurn(yield* Effect.makeSemaphore(maximumTransactions))
      const query = database.query("guardian")
      return {
        sql: database.pool("guardian"),
        query: (text, values) => Effect.catchAll(query(text, values, { deadline }), unavailable),
        read: <A, E>(statement: Effect.Effect<A, E>) =>
          Effect.catchAll(limitedRead(database.readers("guardian"), deadline, statement), unavailable),
        transaction: <A, E>(body: (connection: Connection) => Effect.Effect<A, E>) =>
          connect({
            url: database.url("guardian", "application"),
            applicationName: "gravitas guardian",
            connectTimeout: deadline,
            deadline
          }).pipe(
            Effect.flatMap((connection) => connection.transaction(body(connection))),
            Effect.scoped,
            takeTurn,
            Effect.catchAll(
              (error): Effect.Effect<never, DatabaseUnavailable | Exclude<E, DatabaseError>> =>
                error instanceof DatabaseError ? unavailable(error) : Effect.fail(error as Exclude<E, DatabaseError>)
            )
          )
      }
    })
  )
}
