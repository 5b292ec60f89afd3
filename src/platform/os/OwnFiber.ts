import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/**
 * Runs an effect in a fiber of its own. An interrupted caller still waits until that fiber has ended.
 *
 * A long-lived fiber needs it around work that opens and closes a scope. Effect 3.22.4 forgets an interruption that arrives
 * while a finalizer runs: `Effect.addFinalizer` puts back the fiber references of before, and the interruption is one of them.
 * It happens where the fiber has run another finalizer since it acquired the resource. A loop would then never end, and
 * neither would the stop that waits for it.
 */
export const inOwnFiber = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.fork(restore(effect)), (fiber) =>
      restore(Fiber.join(fiber)).pipe(Effect.onInterrupt(() => Fiber.interrupt(fiber)))
    )
  )
