import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { timerMillis } from "../../platform/os/Deadline.ts"

/** Clients ignore comments; what is between them and the router sees that the answer is being made. */
export const keepAliveComment = ": keep-alive\n\n"

/** The exit of a fiber; None where it has not ended in time. The fiber goes on. */
const endWithin = <A, E>(fiber: Fiber.RuntimeFiber<A, E>, limit: Duration.Duration) =>
  Effect.async<Option.Option<Exit.Exit<A, E>>>((resume) => {
    const observe = (exit: Exit.Exit<A, E>) => {
      clearTimeout(timer)
      resume(Effect.succeedSome(exit))
    }
    const timer = setTimeout(() => {
      // The fiber goes on, and is waited for again and again.
      fiber.removeObserver(observe)
      resume(Effect.succeedNone)
    }, timerMillis(limit))
    fiber.addObserver(observe)
    return Effect.sync(() => {
      clearTimeout(timer)
      fiber.removeObserver(observe)
    })
  })

type WorkProgress<A, E> =
  | { readonly _tag: "Done"; readonly value: A }
  /** `waiting` has an element at once, and one for each further limit that passes before the end; `rest` is the end. */
  | { readonly _tag: "Waiting"; readonly waiting: Stream.Stream<void>; readonly rest: Effect.Effect<A, E> }

/** Runs work to its end, or returns at the limit what is left of it. The work ends with the scope. */
export const orWaiting =
  (limit: Duration.Duration) =>
  <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<WorkProgress<A, E>, E, R | Scope.Scope> =>
    Effect.flatMap(Effect.forkScoped(work), (fiber) =>
      Effect.flatMap(endWithin(fiber, limit), (ended): Effect.Effect<WorkProgress<A, E>, E> => {
        if (Option.isSome(ended)) return Effect.map(ended.value, (value) => ({ _tag: "Done", value }))
        const next = Effect.flatMap(endWithin(fiber, limit), (exit) =>
          Option.isNone(exit) ? Effect.void : Effect.fail(Option.none())
        )
        const waiting = Stream.concat(Stream.void, Stream.repeatEffectOption(next))
        return Effect.succeed({ _tag: "Waiting", waiting, rest: Fiber.join(fiber) })
      })
    )
