import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { GuardianClient } from "../../clients/GuardianClient.ts"
import { memberOf } from "../../domain/Text.ts"
import { withinLimit } from "../../platform/os/Deadline.ts"
import type { NewHistoryRow } from "../history/History.ts"
import { HistoryWriter } from "../history/HistoryWriter.ts"
import { keptMessage, withoutDataUrls } from "../history/KeptMessage.ts"
import { readFinishReason } from "../protocol/ChatPart.ts"
import { type Message, textOf } from "../protocol/ChatRequest.ts"
import {
  type ChatRequestContext,
  type RouteEvent,
  type RouteOutcome,
  recordRouteEvent
} from "../route/ChatRequestContext.ts"
import { shellMetrics } from "../route/RouteMetrics.ts"
import { countTokens } from "../route/TokenCount.ts"
import { AnswerWatch } from "./AnswerWatch.ts"

/**
 * Counts requests that have not ended: `answerChat` calls `begin`, `finalize` calls `end`. A request's last work comes after its answer,
 * when the port may be closed already. Trail, history and guardian stop after the router, so the end of this layer waits for that work.
 */
export class InFlight extends Context.Tag("router/chat/InFlight")<
  InFlight,
  { readonly begin: Effect.Effect<void>; readonly end: Effect.Effect<void> }
>() {
  static readonly layer = (endWithin: Duration.Duration) =>
    Layer.scoped(
      InFlight,
      Effect.gen(function* () {
        let count = 0
        const idle = yield* Effect.makeLatch(true)
        yield* Effect.addFinalizer(() =>
          idle.await.pipe(
            // A finalizer is uninterruptible, so its time limit needs this.
            Effect.interruptible,
            Effect.timeoutOption(endWithin),
            Effect.flatMap(() =>
              count === 0
                ? Effect.void
                : Effect.logWarning(`${count} requests did not end within ${Duration.format(endWithin)}`)
            )
          )
        )
        return {
          begin: Effect.suspend(() => {
            count += 1
            return idle.close
          }),
          end: Effect.suspend(() => {
            count -= 1
            return count === 0 ? idle.open : Effect.void
          })
        }
      })
    )
}

export const routed = Metric.counter("router_requests", { description: "Chat completions, by how they ended" })

/** The router waits this long for the guardian to end a session. After that the session expires without heartbeats. */
const sessionTimeout = Duration.seconds(3)

const lateEnd = `the guardian did not answer within ${Duration.format(sessionTimeout)}`

/** A failed answer counts as DENIED. An answer that was cut off counts as ALLOWED, because it had been allowed. */
const events: Readonly<Record<Exclude<RouteOutcome, "refused">, Pick<RouteEvent, "action" | "result">>> = {
  completed: { action: "route.completed", result: "ALLOWED" },
  failed: { action: "route.failed", result: "DENIED" },
  aborted: { action: "route.aborted", result: "ALLOWED" }
}

const abortReasons = {
  client: "the client hung up",
  shutdown: "the router stopped before the answer was complete",
  timeout: "the request did not arrive in time",
  unread: "the client did not read its answer in time",
  session_over: "the guardian ended the session",
  stopped: "the ghost, its token or its session was stopped",
  token_expired: "the token expired",
  access_withdrawn: "the policy in force does not allow the shell any more",
  stops_unknown: "the gatekeeper's feed of stops was silent for too long",
  router_stopped: "the router itself was stopped"
} as const

export const recordOutcome = (context: ChatRequestContext, outcome: Exclude<RouteOutcome, "refused">, reason: string) =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    context.outcome = outcome
    const { disconnect, finishReason, shell, startedAtMillis } = context
    const tokens = countTokens(context)
    return recordRouteEvent(context, {
      ...events[outcome],
      // Before a shell is chosen, nothing was allowed.
      ...(shell === undefined ? { result: "DENIED" } : {}),
      reason,
      facts: {
        ...(outcome === "aborted" ? { closed_by: disconnect ?? "client" } : {}),
        duration_ms: now - startedAtMillis,
        ...(finishReason === undefined ? {} : { finish_reason: finishReason }),
        ...(tokens === undefined
          ? {}
          : { prompt_tokens: tokens.promptTokens, completion_tokens: tokens.completionTokens }),
        ...(tokens?.isEstimated === true ? { usage_estimated: true } : {})
      }
    })
  })

/** The rows of an answer: one for each choice, as far as they are stored, and at least one. The tokens are on the first. */
const answerRows = ({ answer, finishReason, storeContent }: ChatRequestContext) => {
  const choices = storeContent ? answer.choices() : []
  const [first, ...more] = choices.map(({ finish_reason, message }) => {
    const content = memberOf(message, "content")
    return {
      content: typeof content === "string" && content !== "" ? withoutDataUrls(content) : null,
      message: keptMessage(message),
      finishReason: readFinishReason(finish_reason) ?? null
    }
  })
  const only = { content: null, message: null }
  return [{ ...(first ?? only), finishReason: finishReason ?? null }, ...more]
}

const keptContent = (message: Message): string | null => {
  const text = textOf(message)
  return text === null ? null : withoutDataUrls(text)
}

/** The rows of a request: its messages, then the answer. Empty where no shell was asked. */
const historyRows = (context: ChatRequestContext): ReadonlyArray<NewHistoryRow> => {
  const { ghostId, outcome, request, shell, storeContent } = context
  if (request === undefined || shell === undefined || ghostId === undefined) return []
  if (outcome === undefined || outcome === "refused") return []
  const common = {
    ghostId,
    shellId: shell.name,
    requestedModel: request.model,
    tier: shell.tier,
    provider: shell.provider,
    outcome,
    requestId: context.requestId
  } as const
  const uncounted = { promptTokens: null, completionTokens: null, usageEstimated: null } as const
  const tokens = countTokens(context)
  const counted =
    tokens === undefined
      ? uncounted
      : {
          promptTokens: tokens.promptTokens,
          completionTokens: tokens.completionTokens,
          usageEstimated: tokens.isEstimated
        }
  return [
    ...request.messages.map((message) => ({
      ...common,
      ...uncounted,
      finishReason: null,
      role: message.role,
      content: storeContent ? keptContent(message) : null,
      message: storeContent ? keptMessage(message.raw) : null
    })),
    ...answerRows(context).map((row, i) => ({
      ...common,
      ...(i === 0 ? counted : uncounted),
      ...row,
      role: "assistant" as const
    }))
  ]
}

const endSession = ({ authorization, ghostId: agent, requestId, sessionId }: ChatRequestContext) =>
  sessionId === undefined || agent === undefined
    ? Effect.void
    : Effect.flatMap(GuardianClient, (guardian) =>
        guardian.endSession({ authorization, requestId, agent, sessionId })
      ).pipe(
        withinLimit({ duration: sessionTimeout, onTimeout: () => new Cause.TimeoutException(lateEnd) }),
        Effect.catchAll((error) =>
          // The ghost's token ended before its session: the router ends the session in its own name.
          error._tag === "GuardianRefused" && (error.code === "unauthenticated" || error.code === "access_denied")
            ? Effect.flatMap(AnswerWatch, (watch) => watch.endSession({ agent, session_id: sessionId }))
            : Effect.logWarning(`Session ${sessionId} was not ended, and will expire: ${error.message}`)
        )
      )

/**
 * Ends a request after its last byte: records an answer that was cut off, writes the history and ends the session. It never fails; it
 * logs what did not work. A defect of the trail or of the history does not keep the session open.
 */
export const finalize = (context: ChatRequestContext) =>
  Effect.gen(function* () {
    // Answers, refusals and failures have set their outcome, so only a closed connection leaves it open.
    if (context.outcome === undefined) {
      yield* recordOutcome(context, "aborted", abortReasons[context.disconnect ?? "client"]).pipe(
        // A limited failure is counted, and a client must not fill the log instead.
        Effect.catchAll(({ message, reason }) =>
          reason === "limited"
            ? Effect.void
            : Effect.logError(`An answer that was cut off is not in the trail: ${message}`)
        )
      )
    }
    yield* Metric.increment(Metric.tagged(routed, "outcome", context.outcome ?? "aborted"))
    const { shell } = context
    const tokens = countTokens(context)
    if (shell !== undefined && tokens !== undefined) yield* Effect.sync(() => shellMetrics(shell).counted(tokens))
    const writer = yield* HistoryWriter
    yield* writer.write(historyRows(context))
  }).pipe(
    Effect.ensuring(endSession(context)),
    Effect.annotateLogs({ request_id: context.requestId }),
    Effect.catchAllCause((cause) => Effect.logError("The end of a request failed", cause)),
    Effect.ensuring(Effect.flatMap(InFlight, ({ end }) => end))
  )
