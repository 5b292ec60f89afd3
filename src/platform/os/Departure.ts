import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/**
 * Whether the process is about to stop: with `SHUTDOWN_DELAY` it answers on for that long after the signal, while `/readyz` tells
 * balancers to send requests elsewhere.
 */
export class Departure extends Context.Reference<Departure>()("platform/os/Departure", {
  defaultValue: () => ({ begin: Effect.void, hasBegun: (): boolean => false })
}) {
  static readonly layer = Layer.sync(Departure, () => {
    let begun = false
    return {
      begin: Effect.sync(() => {
        begun = true
      }),
      hasBegun: () => begun
    }
  })
}
