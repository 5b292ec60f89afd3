import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { endedAtLimit } from "../../platform/os/Deadline.ts"
import { monotonicMillis } from "../../platform/os/EventLoop.ts"
import type { Shell, Timeouts } from "../models/Catalog.ts"
import type { ChatPart } from "../protocol/ChatPart.ts"
import type { ChatRequest } from "../protocol/ChatRequest.ts"
import { countsAgainst, ProviderFailure } from "../providers/Provider.ts"
import type { GuardedProvider } from "../providers/Providers.ts"

const late = (provider: string, what: string, limit: Duration.Duration) =>
  new ProviderFailure({ provider, kind: "timed_out", reason: `${what} within ${Duration.format(limit)}` })

/** Waits for an answer that is not streamed. Only the total timeout counts: such an answer arrives in one piece. */
export const completeInTime = (
  provider: string,
  { total }: Timeouts,
  answer: Effect.Effect<ChatPart, ProviderFailure>
): Effect.Effect<ChatPart, ProviderFailure> =>
  endedAtLimit({ duration: total, onTimeout: () => late(provider, "did not answer", total) })(answer)

/** A streamed answer that has begun. Before that, another provider can still be asked. */
interface AnswerStream {
  readonly first: Chunk.Chunk<ChatPart>
  readonly rest: Stream.Stream<ChatPart, ProviderFailure>
}

/**
 * Waits for the first parts, and lets the rest be pulled under the deadlines. While the client reads slowly and does not pull, no
 * deadline runs: that time is not the provider's. The call ends with the scope.
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
    // A part without a choice does not count: the client gets nothing of it, and it may be the only one.
    const beginning = Effect.repeat(pull, { until: Chunk.some(({ choices }: ChatPart) => choices.length > 0) })
    const first = yield* within(timeouts.firstByte, "did not begin to answer", beginning).pipe(
      Effect.mapError(
        Option.getOrElse(() => new ProviderFailure({ provider, kind: "broken", reason: "sent an empty answer" }))
      )
    )
    return { first, rest: Stream.repeatEffectChunkOption(within(timeouts.idle, "sent nothing more")) }
  })

export type ShellAnswer =
  | { readonly _tag: "Whole"; readonly part: ChatPart }
  | ({
      readonly _tag: "Streamed"
      /** Reports the end of the stream to the provider's circuit breaker: complete, or a failure, which counts as one before the begin. */
      readonly ended: (failure?: ProviderFailure) => Effect.Effect<void>
    } & AnswerStream)

const outcomeOf = (failure: ProviderFailure) => (countsAgainst(failure.kind) ? "failed" : "answered")

/**
 * Asks one shell, until its answer is complete or its stream has begun. A stream that has begun goes on until the scope ends. A
 * call that failed, or whose client left, has ended at the provider too when this returns.
 */
export const attempt = (
  guarded: GuardedProvider,
  shell: Shell,
  request: ChatRequest
): Effect.Effect<ShellAnswer, ProviderFailure, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const { provider, settle } = yield* guarded.enter
      const { spec } = guarded
      const call = { request, upstreamModel: shell.upstreamModel }
      const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
      const ended = (failure?: ProviderFailure) => settle(failure === undefined ? "answered" : outcomeOf(failure))
      const answer: Effect.Effect<ShellAnswer, ProviderFailure> = request.stream
        ? beginInTime(spec.name, spec.timeouts, provider.stream(call)).pipe(
            Scope.extend(scope),
            Effect.map((begun): ShellAnswer => ({ _tag: "Streamed", ...begun, ended }))
          )
        : completeInTime(spec.name, spec.timeouts, provider.complete(call)).pipe(
            Effect.map((part): ShellAnswer => ({ _tag: "Whole", part }))
          )
      return yield* restore(answer).pipe(
        Effect.tap(() => settle(request.stream ? "began" : "answered")),
        Effect.tapError(ended),
        Effect.onInterrupt(() => settle("abandoned")),
        Effect.tapDefect(() => settle("failed")),
        Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : Scope.close(scope, exit)))
      )
    })
  )
