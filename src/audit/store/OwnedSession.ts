import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { type Connection, type ConnectOptions, connect } from "../../platform/postgres/Connection.ts"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"

const retirement = new DatabaseError({ phase: "connect", reason: "the session was given up" })

/**
 * One session, opened when it is needed, and again after it was lost. It ends with the scope. `verify` checks that a new session
 * reached the right database.
 */
export const make = Effect.fnUntraced(function* (
  options: ConnectOptions,
  verify: (connection: Connection) => Effect.Effect<unknown, DatabaseError>
) {
  const turn = yield* Effect.makeSemaphore(1)
  let current: { readonly connection: Connection; readonly scope: Scope.CloseableScope } | undefined
  let retired = false

  const close = Effect.suspend(() => {
    const scope = current?.scope
    current = undefined
    return scope === undefined ? Effect.void : Scope.close(scope, Exit.void)
  })
  yield* Effect.addFinalizer(() => close)

  const connection = Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      if (retired) return yield* retirement
      if (current?.connection.isOpen() === true) return current.connection
      yield* close
      const scope = yield* Scope.make()
      const opened = yield* restore(connect(options).pipe(Effect.tap(verify), Scope.extend(scope))).pipe(
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
      )
      current = { connection: opened, scope }
      // `retire` was called while the session was being opened.
      if (retired) return yield* Effect.zipRight(opened.destroy, retirement)
      return opened
    })
  )

  return {
    /** Runs one caller's work at a time, in the order of the calls. A caller interrupted while it waits has no effect. */
    use: <A>(work: (connection: Connection) => Effect.Effect<A, DatabaseError>) =>
      turn.withPermits(1)(Effect.flatMap(connection, work)),
    /** Closes the socket at once. Each later use fails, and so does one that is opening the session. */
    retire: Effect.suspend(() => {
      retired = true
      return current?.connection.destroy ?? Effect.void
    }),
    isRetired: () => retired
  }
})
