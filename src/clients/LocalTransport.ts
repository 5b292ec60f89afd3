import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ServiceName } from "../domain/Service.ts"
import type { JsonResponse } from "../platform/http/ErrorResponse.ts"
import { CallCutOff, type LocalCall, type LocalRequest } from "../platform/http/LocalCalls.ts"
import { timerMillis } from "../platform/os/Deadline.ts"

interface LocalLimits<Late> {
  /** Calls at a time; further ones wait for their turn. */
  readonly concurrent: number
  /** Of one call, its wait included. */
  readonly timeout: Duration.Duration
  readonly onTimeout: () => Late
}

/**
 * Makes the way to a service of this process: with its limits, and without a fiber on the caller's side. Where the caller leaves, the
 * call is interrupted and not waited for.
 */
export const localTransport = <Late>(service: ServiceName, { concurrent, onTimeout, timeout }: LocalLimits<Late>) => {
  const millis = timerMillis(timeout)
  const waiting = new Set<() => void>()
  let running = 0
  /** Gives a turn to the next call. It begins by itself: else calls that answer at once would begin within each other. */
  const passTurn = () => {
    const [next] = waiting
    if (next === undefined) {
      running -= 1
      return
    }
    waiting.delete(next)
    queueMicrotask(next)
  }
  return (call: LocalCall, request: LocalRequest): Effect.Effect<JsonResponse, CallCutOff | Late> =>
    Effect.async((resume) => {
      let hasTurn = false
      let isOver = false
      let interrupt = () => {}
      const end = () => {
        clearTimeout(timer)
        isOver = true
        if (hasTurn) passTurn()
        else waiting.delete(begin)
      }
      const begin = () => {
        if (isOver) return passTurn()
        hasTurn = true
        interrupt = call(request, (answer) => {
          if (isOver) return
          end()
          resume(answer === undefined ? new CallCutOff({ service }) : Effect.succeed(answer))
        })
      }
      const timer = setTimeout(() => {
        end()
        resume(Effect.fail(onTimeout()))
        interrupt()
      }, millis)
      if (running < concurrent) {
        running += 1
        begin()
      } else waiting.add(begin)
      return Effect.sync(() => {
        if (!isOver) end()
        interrupt()
      })
    })
}
