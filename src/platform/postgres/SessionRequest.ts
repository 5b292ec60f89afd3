import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type Pg from "pg"
import { DatabaseError, databaseError } from "./DatabaseError.ts"

/** Destroys the socket without a word to the server: the only end that a stopped server cannot delay. */
export const destroySocket = (client: Pg.Client): void => void client.connection.stream.destroy()

export const timedOut = (phase: DatabaseError["phase"], after: Duration.Duration): DatabaseError =>
  new DatabaseError({
    phase,
    late: true,
    reason: `no answer within ${Duration.format(after)}; the connection was closed`
  })

/** A client of the driver; `open` is false once its session has ended. */
export interface Session {
  readonly client: Pg.Client
  open: boolean
}

export const destroyed = (session: Session) =>
  Effect.sync(() => {
    session.open = false
    destroySocket(session.client)
  })

/** Runs a request of the session within `deadline`; null: without one. An interruption runs `cancel` first. */
export const bounded = <A>(
  session: Session,
  cancel: Effect.Effect<void>,
  phase: DatabaseError["phase"],
  deadline: Duration.DurationInput | null,
  run: () => Promise<A>
): Effect.Effect<A, DatabaseError> =>
  Effect.async<A, DatabaseError>((resume) => {
    if (!session.open) {
      return resume(Effect.fail(new DatabaseError({ phase, reason: "the connection is closed" })))
    }
    const limit = deadline === null ? undefined : Duration.decode(deadline)
    let settled = false
    const settle = (effect: Effect.Effect<A, DatabaseError>) => {
      if (settled) return
      settled = true
      clearTimeout(timer)
      resume(effect)
    }
    const timer =
      limit === undefined
        ? undefined
        : setTimeout(() => {
            session.open = false
            destroySocket(session.client)
            settle(Effect.fail(timedOut(phase, limit)))
          }, Duration.toMillis(limit))
    const finished = run().then(
      (value) => settle(Effect.succeed(value)),
      (cause) => settle(Effect.fail(databaseError(phase, cause)))
    )
    return Effect.suspend(() => {
      clearTimeout(timer)
      if (settled) return Effect.void
      return cancel.pipe(
        Effect.zipRight(Effect.promise(() => finished)),
        // In this order: the fiber itself is interrupted already, only the one that `timeoutOption` forks is not.
        Effect.interruptible,
        Effect.timeoutOption("2 seconds"),
        Effect.flatMap((stopped) => (stopped._tag === "Some" ? Effect.void : destroyed(session)))
      )
    })
  })
