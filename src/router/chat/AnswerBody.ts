import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { AuditLog } from "../../audit/AuditLog.ts"
import type { AuditUnavailable } from "../../audit/AuditUnavailable.ts"
import type { AuditId } from "../../audit/encoding/AuditId.ts"
import type { Refusal } from "../../platform/http/ErrorResponse.ts"
import { type ChatPart, signOfLife, type Usage } from "../protocol/ChatPart.ts"
import type { ProviderFailure } from "../providers/Provider.ts"
import type { ShellAnswer } from "../route/Attempt.ts"
import { appendOutput, type ChatRequestContext } from "../route/ChatRequestContext.ts"
import { refusalOfFailure, refusalOfTrail, routeRefused } from "../route/RouteRefused.ts"
import { recordOutcome } from "./ChatCompletionFinalizer.ts"
import { keepAliveComment } from "./KeepAlive.ts"

/** What all events of an answer share: the model that answered, and the request's id. */
interface AnswerFrame {
  readonly requestId: string
  readonly model: string
  readonly createdSeconds: number
  readonly includeUsage: boolean
}

/** The start of a body's JSON, up to its choices. */
const headOf = ({ createdSeconds, model, requestId }: AnswerFrame, object: string): string =>
  JSON.stringify({ id: `chatcmpl-${requestId}`, created: createdSeconds, model, object }).slice(0, -1)

/** The JSON of a whole answer. */
export const wholeBody = (frame: AnswerFrame, { choicesText, moreText, usage }: ChatPart): string => {
  const counted = usage === undefined ? "" : `,"usage":${JSON.stringify(usage.raw)}`
  return `${headOf(frame, "chat.completion")},"choices":${choicesText}${moreText}${counted}}`
}

/** The events of one answer. */
const makeEvents = (frame: AnswerFrame) => {
  const head = `data: ${headOf(frame, "chat.completion.chunk")},"choices":`
  const noUsage = frame.includeUsage ? ',"usage":null' : ""
  return {
    /** The event of a part, without its usage; empty where the part has no choice. */
    ofPart: (part: ChatPart): string => {
      if (part === signOfLife) return keepAliveComment
      return part.choices.length === 0 ? "" : `${head}${part.choicesText}${part.moreText}${noUsage}}\n\n`
    },
    /**
     * The event with the usage, if the client asked for it: once, at the end and by itself, as OpenAI's clients expect it. DeepInfra sends
     * it with the last choice and Gemini with each, which clients that add them up would count twice.
     */
    ofUsage: (usage: Usage | undefined): string =>
      usage === undefined || !frame.includeUsage ? "" : `${head}[],"usage":${JSON.stringify(usage.raw)}}\n\n`
  }
}

const doneEvent = "data: [DONE]\n\n"

/** The last event of a stream that failed: no `[DONE]` follows. */
const errorEvent = ({ auditId, code, message, more }: Refusal, requestId: string): string =>
  `data: ${JSON.stringify({ error: { message, ...more, code, request_id: requestId, audit_id: auditId } })}\n\n`

const encoder = new TextEncoder()

const defectReason = "the router failed; its log says why"

/**
 * The bytes of a streamed answer. The client's socket pulls it, so that a client that reads slowly slows the provider down and
 * fills no memory. The outcome is recorded before its event is sent: after `[DONE]` the row exists.
 */
export const streamedAnswer = (
  context: ChatRequestContext,
  frame: AnswerFrame,
  { ended, first, rest }: Extract<ShellAnswer, { readonly _tag: "Streamed" }>
): Effect.Effect<Stream.Stream<Uint8Array>, never, AuditLog> => {
  const { requestId } = context
  const events = makeEvents(frame)
  const eventsOf = (parts: Chunk.Chunk<ChatPart>): string => {
    let text = ""
    for (const part of parts) {
      appendOutput(context, part)
      text += events.ofPart(part)
    }
    return text
  }
  const unrecorded = (error: AuditUnavailable) => {
    context.outcome = "failed"
    return errorEvent(refusalOfTrail(error), requestId)
  }
  /** Records the outcome, then yields the last event. The breaker learns the outcome also where the trail refuses its record. */
  const end = (
    outcome: "completed" | "failed",
    reason: string,
    last: (auditId: AuditId) => string,
    reported: Effect.Effect<void> = Effect.void
  ) =>
    recordOutcome(context, outcome, reason).pipe(
      Effect.ensuring(reported),
      Effect.match({ onSuccess: last, onFailure: unrecorded })
    )
  const completed = end("completed", "the answer is whole", () => events.ofUsage(context.usage) + doneEvent, ended())
  const failed = (failure: ProviderFailure) => {
    const { code, reason } = refusalOfFailure(failure)
    const last = (auditId: AuditId) => errorEvent(routeRefused({ code, reason, auditId }), requestId)
    return end("failed", failure.message, last, ended(failure))
  }
  // Some clients take a stream that ends without an error event for a complete one.
  const broken = (cause: Cause.Cause<never>) =>
    Effect.logError("A stream failed", cause).pipe(
      Effect.annotateLogs({ request_id: requestId }),
      Effect.zipRight(
        end("failed", defectReason, (auditId) =>
          errorEvent(routeRefused({ code: "internal_error", reason: defectReason, auditId }), requestId)
        )
      )
    )
  const bytes = Stream.concat(Stream.fromChunk(Chunk.of(first)), Stream.chunks(rest)).pipe(
    Stream.map(eventsOf),
    Stream.concat(Stream.fromEffect(completed)),
    Stream.catchAll((failure) => Stream.fromEffect(failed(failure))),
    Stream.filter((text) => text !== ""),
    Stream.map((text) => encoder.encode(text)),
    // A defect of the router must not look like a client that hung up.
    Stream.catchAllCause((cause) =>
      Cause.isInterruptedOnly(cause)
        ? Stream.failCause(cause)
        : Stream.fromEffect(Effect.map(broken(cause), (text) => encoder.encode(text)))
    )
  )
  return Effect.map(AuditLog, (trail) => Stream.provideService(bytes, AuditLog, trail))
}

/**
 * The bytes of an answer whose headers are sent before a shell has begun it: comments, then `rest`, which is what no other shell can
 * change any more. A refusal is an event, since the status is sent.
 */
export const waitingAnswer = <R>(
  context: ChatRequestContext,
  waiting: Stream.Stream<void>,
  rest: Effect.Effect<Stream.Stream<Uint8Array>, Refusal, R>
): Effect.Effect<Stream.Stream<Uint8Array>, never, R | AuditLog> => {
  const { requestId } = context
  const refused = (refusal: Refusal) => {
    context.outcome = "refused"
    return Stream.succeed(encoder.encode(errorEvent(refusal, requestId)))
  }
  const broken = (cause: Cause.Cause<never>) =>
    Effect.logError("A route failed", cause).pipe(
      Effect.annotateLogs({ request_id: requestId }),
      Effect.zipRight(recordOutcome(context, "failed", defectReason)),
      Effect.match({
        onSuccess: (auditId) => routeRefused({ code: "internal_error", reason: defectReason, auditId }),
        onFailure: refusalOfTrail
      }),
      Effect.map((refusal) => Stream.succeed(encoder.encode(errorEvent(refusal, requestId))))
    )
  const answer = rest.pipe(
    Effect.catchAll((refusal) => Effect.succeed(refused(refusal))),
    Effect.catchAllCause((cause) => (Cause.isInterruptedOnly(cause) ? Effect.failCause(cause) : broken(cause)))
  )
  const comments = Stream.map(waiting, () => encoder.encode(keepAliveComment))
  return Effect.map(Effect.context<R | AuditLog>(), (services) =>
    Stream.provideContext(Stream.concat(comments, Stream.unwrap(answer)), services)
  )
}
