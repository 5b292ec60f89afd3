import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { monotonicMillis } from "../../platform/os/MonotonicClock.ts"
import type { Timeouts } from "../models/Catalog.ts"
import type { ChatPart } from "../protocol/ChatPart.ts"
import { ProviderFailure } from "../providers/ProviderFailure.ts"

const late = (provider: string, what: string, limit: Duration.Duration) =>
  new ProviderFailure({ provider, kind: "timed_out", reason: `${what} within ${Duration.format(limit)}` })

/** An answer that is not streamed has its first byte and its last at one time. */
export const completeInTime = (
  provider: string,
  { total }: Timeouts,
  answer: Effect.Effect<ChatPart, ProviderFailure>
): Effect.Effect<ChatPart, ProviderFailure> =>
  Effect.timeoutFail(answer, { duration: total, onTimeout: () => late(provider, "did not answer", total) })

/** A streamed answer that has begun: until this, another provider can still be asked. */
export interface AnswerStream {
  readonly first: Chunk.Chunk<ChatPart>
  readonly rest: Stream.Stream<ChatPart, ProviderFailure>
}

/**
 * Waits for the first pieces, and lets the rest be pulled under the deadlines. Time in which nobody pulls, because the client
 * reads slowly, counts for none of them: it is not the provider's. The call ends with the scope.
 */
export const beginInTime = (
  provider: string,
  timeouts: Timeouts,
  answer: Stream.Stream<ChatPart, ProviderFailure>
): Effect.Effect<AnswerStream, ProviderFailure, Scope.Scope> =>
  Effect.gen(function* () {
    let waited = 0
    const pull = yield* Stream.toPull(answer)
    const within = (limit: Duration.Duration, what: string, asked = pull) =>
      Effect.flatMap(monotonicMillis, (from) => {
        const left = Duration.subtract(timeouts.total, Duration.millis(waited))
        const bounded = Duration.lessThan(left, limit)
          ? Effect.timeoutFail(asked, {
              duration: left,
              onTimeout: () => Option.some(late(provider, "was not done", timeouts.total))
            })
          : Effect.timeoutFail(asked, { duration: limit, onTimeout: () => Option.some(late(provider, what, limit)) })
        return Effect.zipLeft(
          bounded,
          Effect.map(monotonicMillis, (now) => {
            waited += now - from
          })
        )
      })
    // A piece without a choice is no beginning: nothing of it is told to the client, and it may be all that comes.
    const beginning = Effect.repeat(pull, { until: Chunk.some(({ choices }: ChatPart) => choices.length > 0) })
    const first = yield* within(timeouts.firstByte, "did not begin to answer", beginning).pipe(
      Effect.mapError(
        Option.getOrElse(() => new ProviderFailure({ provider, kind: "broken", reason: "answers with nothing" }))
      )
    )
    return { first, rest: Stream.repeatEffectChunkOption(within(timeouts.idle, "said nothing more")) }
  })
