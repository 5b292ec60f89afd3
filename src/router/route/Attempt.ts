import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { CallOutcome } from "../../clients/CircuitBreaker.ts"
import { endedAtLimit } from "../../platform/os/Deadline.ts"
import { monotonicMillis } from "../../platform/os/EventLoop.ts"
import type { Shell, Timeouts } from "../models/Catalog.ts"
import { type ChatPart, signOfLife } from "../protocol/ChatPart.ts"
import type { ChatRequest } from "../protocol/ChatRequest.ts"
import { countsAgainst, ProviderFailure } from "../providers/Provider.ts"
import type { GuardedShell } from "../providers/Providers.ts"
import { shellMetrics } from "./RouteMetrics.ts"

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

/** Parts that say nothing and wait for the first that does; beyond them they are dropped. */
const maximumHeld = 256

/** Characters of those parts. */
const maximumHeldLength = 1024 * 1024

/** Characters of a part's JSON. */
const lengthOf = ({ choicesText, moreText, usage }: ChatPart): number =>
  choicesText.length + moreText.length + (usage === undefined ? 0 : JSON.stringify(usage.raw).length)

/** How long a stream whose choices have all ended is waited for: for its usage, `[DONE]` and its end. */
const lastWait = Duration.seconds(2)

/**
 * Waits for the first parts that say something, and lets the rest be pulled under the deadlines. Signs of life start `firstByte` and
 * `idle` again. While the client reads slowly and does not pull, no deadline runs: that time is not the provider's. The call ends with
 * the scope.
 */
export const beginInTime = (
  provider: string,
  timeouts: Timeouts,
  answer: Stream.Stream<ChatPart, ProviderFailure>
): Effect.Effect<AnswerStream, ProviderFailure, Scope.Scope> =>
  Effect.gen(function* () {
    let waited = 0
    /** Whether all choices have ended. */
    let ended = false
    const pull = yield* Stream.toPull(answer)
    /** The next parts. Without a `failure` the stream ends at the limit. */
    const within = (limit: Duration.Duration, failure: Option.Option<ProviderFailure>) =>
      Effect.flatMap(monotonicMillis, (from) => {
        const left = Duration.subtract(timeouts.total, Duration.millis(waited))
        const isLast = Duration.lessThan(left, limit)
        const onTimeout = () =>
          isLast ? Option.map(failure, () => late(provider, "was not done", timeouts.total)) : failure
        return Effect.flatMap(Effect.timeoutFail(pull, { duration: isLast ? left : limit, onTimeout }), (parts) =>
          Effect.map(monotonicMillis, (now) => {
            waited += now - from
            ended = Chunk.reduce(parts, ended, (before, part) => (part === signOfLife ? before : part.isEnd))
            return parts
          })
        )
      })
    const lateBegin = Option.some(late(provider, "did not begin to answer", timeouts.firstByte))
    const begin = Effect.gen(function* () {
      const held: Array<ChatPart> = []
      let heldLength = 0
      let silent = 0
      for (;;) {
        const before = waited
        const parts = yield* within(Duration.subtract(timeouts.firstByte, Duration.millis(silent)), lateBegin)
        if (Chunk.some(parts, ({ hasContent }) => hasContent)) return Chunk.unsafeFromArray([...held, ...parts])
        const isAlive = Chunk.some(parts, (part) => part === signOfLife)
        silent = isAlive ? 0 : silent + waited - before
        for (const part of parts) {
          if (part === signOfLife || held.length >= maximumHeld) continue
          heldLength += lengthOf(part)
          if (heldLength <= maximumHeldLength) held.push(part)
        }
      }
    })
    const first = yield* Effect.mapError(
      begin,
      Option.getOrElse(() => new ProviderFailure({ provider, kind: "broken", reason: "sent an empty answer" }))
    )
    const silence = Option.some(late(provider, "sent nothing more", timeouts.idle))
    // Some servers neither send [DONE] nor close, after they have said all.
    const next = Effect.suspend(() =>
      ended ? within(Duration.min(lastWait, timeouts.idle), Option.none()) : within(timeouts.idle, silence)
    )
    return { first, rest: Stream.repeatEffectChunkOption(next) }
  })

export type ShellAnswer =
  | { readonly _tag: "Whole"; readonly part: ChatPart }
  | ({
      readonly _tag: "Streamed"
      /** Reports the end of the stream to the shell's circuit breaker: complete, or a failure, which counts as one before the begin. */
      readonly ended: (failure?: ProviderFailure) => Effect.Effect<void>
    } & AnswerStream)

/** A provider that says how long it wants to be left alone is left alone, after one failure. */
const outcomeOf = ({ kind, retryAfterMillis }: ProviderFailure): CallOutcome => {
  if (!countsAgainst(kind)) return "answered"
  return retryAfterMillis === undefined ? "failed" : { pauseMillis: retryAfterMillis }
}

/**
 * Asks one shell, until its answer is complete or its stream has begun. A stream that has begun goes on until the scope ends. A
 * call that failed, or whose client left, has ended at the provider too when this returns.
 */
export const attempt = (
  guarded: GuardedShell,
  shell: Shell,
  request: ChatRequest
): Effect.Effect<ShellAnswer, ProviderFailure, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const { provider, settle } = yield* guarded.enter
      const { spec } = guarded
      const call = { request, upstreamModel: shell.upstreamModel }
      const scope = yield* Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential)
      const metrics = shellMetrics(shell)
      const asked = yield* monotonicMillis
      let isCounted = false
      const count = (outcome: Parameters<typeof metrics.called>[0]) => {
        if (!isCounted) metrics.called(outcome)
        isCounted = true
      }
      const ended = (failure?: ProviderFailure) =>
        Effect.suspend(() => {
          count(failure?.kind ?? "answered")
          return settle(failure === undefined ? "answered" : outcomeOf(failure))
        })
      const answer: Effect.Effect<ShellAnswer, ProviderFailure> = request.stream
        ? beginInTime(spec.name, spec.timeouts, provider.stream(call)).pipe(
            Scope.extend(scope),
            Effect.map((begun): ShellAnswer => ({ _tag: "Streamed", ...begun, ended }))
          )
        : completeInTime(spec.name, spec.timeouts, provider.complete(call)).pipe(
            Effect.map((part): ShellAnswer => ({ _tag: "Whole", part }))
          )
      return yield* restore(answer).pipe(
        Effect.tap(() =>
          Effect.flatMap(monotonicMillis, (now) => {
            metrics.began((now - asked) / 1_000)
            if (!request.stream) return ended()
            // A stream that has begun and was not read to its end: its client left, or it was stopped.
            const leave = Effect.sync(() => count("abandoned"))
            return Effect.zipRight(Scope.addFinalizer(scope, leave), settle("began"))
          })
        ),
        Effect.tapError(ended),
        Effect.onInterrupt(() => {
          count("abandoned")
          return settle("abandoned")
        }),
        Effect.tapDefect(() => settle("failed")),
        Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : Scope.close(scope, exit)))
      )
    })
  )
