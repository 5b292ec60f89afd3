import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type Pg from "pg"
import { timerMillis } from "../os/Deadline.ts"
import { inSpan } from "../telemetry/Traced.ts"
import type { Row } from "./Connection.ts"
import { type DatabaseError, databaseError } from "./DatabaseError.ts"

/** How long one statement may take, the wait for a session included. */
export interface QueryLimit {
  readonly deadline: Duration.Duration
}

/** Runs one statement on a session of a pool, and returns its rows. */
export type PooledQuery = (
  text: string,
  values: ReadonlyArray<unknown>,
  limit: QueryLimit
) => Effect.Effect<ReadonlyArray<Row>, DatabaseError>

/** As the spans of @effect/sql. */
const spanOf = (text: string) =>
  ({ kind: "client", attributes: { "db.system.name": "postgresql", "db.query.text": text } }) as const

const late = (deadline: Duration.Duration): DatabaseError =>
  databaseError("statement", new Error(`no answer within ${Duration.format(deadline)}`))

/** Asks the server to end what the session runs; its own statement then fails, which frees the session. */
const cancel = (pool: Pg.Pool, client: Pg.PoolClient): void => {
  const backendPid: unknown = Reflect.get(client, "processID")
  if (typeof backendPid !== "number" || pool.ending) return
  pool.query("select pg_catalog.pg_cancel_backend($1)", [backendPid]).catch(() => {})
}

/**
 * Makes the short way to a pool, for statements that each request runs: without fibers, layers of spans and a text that is
 * composed for each call. At the deadline, and where the caller is interrupted, the caller goes
 * on at once; the statement is cancelled, and may have been carried out.
 */
export const pooledQuery =
  (pool: Pg.Pool): PooledQuery =>
  (text, values, { deadline }) =>
    Effect.async<ReadonlyArray<Row>, DatabaseError>((resume) => {
      let running: Pg.PoolClient | undefined
      let hasLeft = false
      const leave = () => {
        clearTimeout(timer)
        hasLeft = true
        if (running !== undefined) cancel(pool, running)
      }
      const fail = (cause: unknown) => resume(Effect.fail(databaseError("statement", cause)))
      const timer = setTimeout(() => {
        resume(Effect.fail(late(deadline)))
        leave()
      }, timerMillis(deadline))
      pool.connect((refused, client, release) => {
        if (client === undefined) {
          clearTimeout(timer)
          return fail(refused)
        }
        if (hasLeft) return release()
        running = client
        // A lost session fails its statement too; without a listener the event would end the process.
        let lost: Error | undefined
        const onError = (error: Error) => {
          lost = error
        }
        client.on("error", onError)
        client.query({ text, values: [...values] }, (failure: Error | null, result) => {
          clearTimeout(timer)
          running = undefined
          client.off("error", onError)
          // A cancel request that comes late must not meet the next statement of the session.
          release(hasLeft ? true : lost)
          if (failure) fail(failure)
          else resume(Effect.succeed(result.rows))
        })
      })
      return Effect.sync(leave)
    }).pipe(inSpan("sql.execute", spanOf(text)))
