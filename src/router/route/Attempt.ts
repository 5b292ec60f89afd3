import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Shell } from "../models/Catalog.ts"
import type { ChatPart } from "../protocol/ChatPart.ts"
import type { ChatRequest } from "../protocol/ChatRequest.ts"
import { countsAgainst, type ProviderFailure } from "../providers/Provider.ts"
import type { GuardedProvider } from "../providers/Providers.ts"
import { type AnswerStream, beginInTime, completeInTime } from "./Deadlines.ts"

/** The answer of a shell: complete, or a stream that has begun. */
export type ShellAnswer =
  | { readonly _tag: "Whole"; readonly part: ChatPart }
  | ({
      readonly _tag: "Streamed"
      /** Reports the end of the stream to the provider's circuit breaker: complete, or a failure, which counts as one before the begin. */
      readonly ended: (failure?: ProviderFailure) => Effect.Effect<void>
    } & AnswerStream)

/** The outcome of a failed call, for the provider's circuit breaker. */
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
