import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { type Connection, type ConnectOptions, connect } from "../../platform/postgres/Connection.ts"
import { DatabaseError } from "../../platform/postgres/DatabaseError.ts"

/** One session, opened when it is needed and again when it was lost. */
export interface OwnedSession {
  /** One caller after the other, in the order in which they come; who is interrupted while waiting leaves no trace. */
  readonly use: <A>(
    work: (connection: Connection) => Effect.Effect<A, DatabaseError>
  ) => Effect.Effect<A, DatabaseError>
  /** Cuts the session at once, for good: each use from now on fails, also one that is opening the session. */
  readonly retire: Effect.Effect<void>
  readonly isRetired: () => boolean
}

const retirement = new DatabaseError({ phase: "connect", reason: "the session was given up" })

/** The session lives no longer than the scope. `greet` says whether the database at the other end is the right one. */
export const make = Effect.fnUntraced(function* (
  options: ConnectOptions,
  greet: (connection: Connection) => Effect.Effect<unknown, DatabaseError>
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
      const opened = yield* restore(connect(options).pipe(Effect.tap(greet), Scope.extend(scope))).pipe(
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
      )
      current = { connection: opened, scope }
      // It was given up while it was being opened.
      if (retired) return yield* Effect.zipRight(opened.destroy, retirement)
      return opened
    })
  )

  const session: OwnedSession = {
    use: (work) => turn.withPermits(1)(Effect.flatMap(connection, work)),
    retire: Effect.suspend(() => {
      retired = true
      return current?.connection.destroy ?? Effect.void
    }),
    isRetired: () => retired
  }
  return session
})
