import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { AuditLog } from "../../audit/AuditLog.ts"
import { GuardianClient } from "../../clients/GuardianClient.ts"
import { historyRows } from "../history/HistoryRows.ts"
import { HistoryWriter } from "../history/HistoryWriter.ts"
import type { ChatRequestContext, RouteOutcome } from "../route/ChatRequestContext.ts"
import { type RouteEvent, recordRouteEvent } from "../route/RouteAudit.ts"
import { InFlight } from "./InFlight.ts"

export const routed = Metric.counter("router_requests", { description: "Chat completions, by how they ended" })

/** A session that cannot be ended expires by itself; nobody waits longer than this for it. */
const sessionPatience = "3 seconds"

const facts: Readonly<Record<Exclude<RouteOutcome, "refused">, Pick<RouteEvent, "action" | "result">>> = {
  completed: { action: "route.completed", result: "ALLOWED" },
  failed: { action: "route.failed", result: "DENIED" },
  aborted: { action: "route.aborted", result: "ALLOWED" }
}

/** Why an answer that nobody finished ended. */
const cuts = {
  client: "the client hung up",
  shutdown: "the router ended before the answer was whole",
  timeout: "the request did not arrive in time",
  unread: "the client did not read its answer in time",
  session_over: "the guardian let its session go on no longer"
} as const

/** The end of a request: what the trail, the history and the guardian learn of it. */
export class ChatCompletionFinalizer extends Context.Tag("router/chat/ChatCompletionFinalizer")<
  ChatCompletionFinalizer,
  {
    /** Records how the answer ended. */
    readonly recordOutcome: (
      context: ChatRequestContext,
      outcome: Exclude<RouteOutcome, "refused">,
      reason: string
    ) => ReturnType<typeof recordRouteEvent>
    /** From here on the end of the router waits for this request's own. */
    readonly begin: (context: ChatRequestContext) => Effect.Effect<void>
    readonly finalize: (context: ChatRequestContext) => Effect.Effect<void>
  }
>() {
  static readonly layer = (storeContent: boolean) =>
    Layer.effect(
      ChatCompletionFinalizer,
      Effect.gen(function* () {
        const trail = yield* AuditLog
        const guardian = yield* GuardianClient
        const writer = yield* HistoryWriter
        const inFlight = yield* InFlight

        const recordOutcome = (
          context: ChatRequestContext,
          outcome: Exclude<RouteOutcome, "refused">,
          reason: string
        ) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => {
            context.outcome = outcome
            const { cut, finishReason, shell, startedAtMillis, usage } = context
            return recordRouteEvent(trail, context, {
              ...facts[outcome],
              // Who leaves before any shell was allowed was allowed nothing.
              ...(shell === undefined ? { result: "DENIED" } : {}),
              reason,
              metadata: {
                ...(outcome === "aborted" ? { closed_by: cut ?? "client" } : {}),
                duration_ms: now - startedAtMillis,
                ...(finishReason === undefined ? {} : { finish_reason: finishReason }),
                ...(usage === undefined
                  ? {}
                  : { prompt_tokens: usage.promptTokens, completion_tokens: usage.completionTokens })
              }
            })
          })

        const endSession = ({ authorization, requestId, sessionId }: ChatRequestContext) =>
          sessionId === undefined
            ? Effect.void
            : guardian.endSession({ authorization, requestId, sessionId }).pipe(
                Effect.interruptible,
                Effect.timeout(sessionPatience),
                Effect.catchAll(({ message }) =>
                  Effect.logWarning(`Session ${sessionId} was not ended, and will expire: ${message}`)
                )
              )

        return {
          recordOutcome,
          begin: () => inFlight.begin,
          finalize: (context) =>
            Effect.gen(function* () {
              // Nothing else leaves it open: an answer, a refusal and a failure each say what they are.
              if (context.outcome === undefined) {
                yield* recordOutcome(context, "aborted", cuts[context.cut ?? "client"]).pipe(
                  Effect.catchAll(({ message }) =>
                    Effect.logError(`An answer that was cut off is not in the trail: ${message}`)
                  )
                )
              }
              yield* Metric.increment(Metric.tagged(routed, "outcome", context.outcome ?? "aborted"))
              yield* writer.write(historyRows(context, storeContent))
              yield* endSession(context)
            }).pipe(
              Effect.annotateLogs({ request_id: context.requestId }),
              Effect.catchAllCause((cause) => Effect.logError("A request could not be ended in order", cause)),
              Effect.ensuring(inFlight.end)
            )
        }
      })
    )
}
