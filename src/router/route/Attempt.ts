import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { ChatPart } from "../chat/ChatAnswer.ts"
import type { ChatRequest } from "../chat/ChatRequest.ts"
import type { Shell } from "../models/Catalog.ts"
import { countsAgainst, type ProviderFailure } from "../providers/ProviderFailure.ts"
import type { Standing } from "../providers/Providers.ts"
import { type Begun, beginInTime, completeInTime } from "./Deadlines.ts"

export type Answer =
  | { readonly _tag: "Whole"; readonly part: ChatPart }
  | ({
      readonly _tag: "Streamed"
      /** Tells the provider's cool-down how the stream ended: whole, or by a failure, which counts as one before it began does. */
      readonly ended: (failure?: ProviderFailure) => Effect.Effect<void>
    } & Begun)

/** Of a call that ended with `failure`, for the provider's cool-down. */
const outcomeOf = (failure: ProviderFailure) => (countsAgainst(failure.kind) ? "failed" : "answered")

/**
 * Asks one shell, until its answer is whole or its stream has begun. A stream that has begun goes on until the scope ends; a call
 * that failed, or whose client left, is over at the other side when this returns.
 */
export const attempt = (
  standing: Standing,
  shell: Shell,
  request: ChatRequest
): Effect.Effect<Answer, ProviderFailure, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const { provider, settled } = yield* standing.enter
      const { spec } = standing
      const call = { request, upstreamModel: shell.upstreamModel }
      const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
      const ended = (failure?: ProviderFailure) => settled(failure === undefined ? "answered" : outcomeOf(failure))
      const answer: Effect.Effect<Answer, ProviderFailure> = request.stream
        ? beginInTime(spec.name, spec.timeouts, provider.stream(call)).pipe(
            Scope.extend(scope),
            Effect.map((begun): Answer => ({ _tag: "Streamed", ...begun, ended }))
          )
        : completeInTime(spec.name, spec.timeouts, provider.complete(call)).pipe(
            Effect.map((part): Answer => ({ _tag: "Whole", part }))
          )
      return yield* restore(answer).pipe(
        Effect.tap(() => settled(request.stream ? "began" : "answered")),
        Effect.tapError(ended),
        Effect.onInterrupt(() => settled("abandoned")),
        Effect.tapDefect(() => settled("failed")),
        Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : Scope.close(scope, exit)))
      )
    })
  )
