import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"

interface Limit<E> {
  readonly duration: Duration.Duration
  readonly onTimeout: () => E
}

/** Node's longest timer: a longer one would end at once. */
const longestTimer = 2 ** 31 - 1

/** The milliseconds of a timer, which may be those of an endless duration. */
export const timerMillis = (duration: Duration.Duration): number => Math.min(Duration.toMillis(duration), longestTimer)

/** Starts work on a fiber of its own. It is interruptible, also where the caller is not. */
const starter = <R>() =>
  Effect.map(Effect.runtime<R>(), ({ context, fiberRefs, runtimeFlags }) => {
    const flags = RuntimeFlags.enable(runtimeFlags, RuntimeFlags.Interruption)
    return Runtime.runFork(Runtime.make({ context, fiberRefs, runtimeFlags: flags }))
  })

/**
 * Runs `work` until the limit: then it is interrupted, and the caller goes on at once. The same where the caller is interrupted.
 * `Effect.timeoutFail` between two `Effect.disconnect` does that too, with four fibers more. An uninterruptible caller waits to the limit.
 */
export const withinLimit =
  <E2>({ duration, onTimeout }: Limit<E2>) =>
  <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E | E2, R> =>
    Effect.flatMap(starter<R>(), (start) =>
      Effect.async<A, E | E2>((resume) => {
        const fiber = start(work)
        const leave = () => {
          clearTimeout(timer)
          fiber.unsafeInterruptAsFork(FiberId.none)
        }
        const timer = setTimeout(() => {
          resume(Effect.fail(onTimeout()))
          leave()
        }, timerMillis(duration))
        fiber.addObserver((exit) => {
          clearTimeout(timer)
          resume(exit)
        })
        return Effect.sync(leave)
      })
    )

/** Calls back with what is to happen in place of work, and returns how to stop listening. */
type Listen<E, R> = (end: (instead: Effect.Effect<never, E, R>) => void) => () => void

/**
 * Runs `work` to its end, or until `listen` calls back: then the work is interrupted, and what it was called with follows when the work
 * has ended. As `Effect.raceFirst`, with two fibers less.
 */
export const unlessEnded =
  <E2, R2 = never>(listen: Listen<E2, R2>) =>
  <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E | E2, R | R2> =>
    Effect.flatMap(starter<R>(), (start) =>
      Effect.async<A, E | E2, R2>((resume) => {
        let instead: Effect.Effect<never, E2, R2> | undefined
        const fiber = start(work)
        const stop = listen((given) => {
          instead ??= given
          fiber.unsafeInterruptAsFork(FiberId.none)
        })
        fiber.addObserver((exit) => {
          stop()
          resume(instead ?? exit)
        })
        return Effect.suspend(() => {
          stop()
          return Fiber.interrupt(fiber)
        })
      })
    )

/** Runs `work` until the limit, and waits then for its end. As `Effect.timeoutFail`, with a fiber less. */
export const endedAtLimit = <E2>({ duration, onTimeout }: Limit<E2>) =>
  unlessEnded<E2>((end) => {
    const timer = setTimeout(() => end(Effect.fail(onTimeout())), timerMillis(duration))
    return () => clearTimeout(timer)
  })
