import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/**
 * Counts requests that have not ended. A request's last work comes after its answer, when the port may be closed already: it writes to
 * the trail, the history and the guardian. The end of this layer waits for it, because those end later.
 */
export class InFlight extends Context.Tag("router/chat/InFlight")<
  InFlight,
  { readonly begin: Effect.Effect<void>; readonly end: Effect.Effect<void> }
>() {
  static readonly layer = (endWithin: Duration.Duration) =>
    Layer.scoped(
      InFlight,
      Effect.gen(function* () {
        let count = 0
        const none = yield* Effect.makeLatch(true)
        yield* Effect.addFinalizer(() =>
          none.await.pipe(
            Effect.interruptible,
            Effect.timeoutOption(endWithin),
            Effect.flatMap(() =>
              count === 0
                ? Effect.void
                : Effect.logWarning(`${count} requests did not end within ${Duration.format(endWithin)}`)
            )
          )
        )
        return {
          begin: Effect.suspend(() => {
            count += 1
            return none.close
          }),
          end: Effect.suspend(() => {
            count -= 1
            return count === 0 ? none.open : Effect.void
          })
        }
      })
    )
}
