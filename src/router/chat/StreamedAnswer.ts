import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { AuditLog } from "../../audit/AuditLog.ts"
import type { AuditUnavailable } from "../../audit/AuditUnavailable.ts"
import type { ChatPart } from "../protocol/ChatPart.ts"
import type { ProviderFailure } from "../providers/Provider.ts"
import type { ShellAnswer } from "../route/Attempt.ts"
import { appendOutput, type ChatRequestContext } from "../route/ChatRequestContext.ts"
import { refusalOfFailure, refusalOfTrail, refused } from "../route/RouteRefused.ts"
import { type AnswerFrame, doneEvent, errorEvent, pieceEvent, usageEvent } from "./AnswerBody.ts"
import { recordOutcome } from "./ChatCompletionFinalizer.ts"

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
  const eventsOf = (parts: Chunk.Chunk<ChatPart>): string => {
    let text = ""
    for (const part of parts) {
      appendOutput(context, part)
      text += pieceEvent(frame, part)
    }
    return text
  }
  const unrecorded = (error: AuditUnavailable) => {
    context.outcome = "failed"
    return errorEvent(refusalOfTrail(error), requestId)
  }
  const completed = recordOutcome(context, "completed", "the answer is whole").pipe(
    Effect.zipLeft(ended()),
    Effect.match({ onSuccess: () => usageEvent(frame, context.usage) + doneEvent, onFailure: unrecorded })
  )
  const failed = (failure: ProviderFailure) =>
    recordOutcome(context, "failed", failure.message).pipe(
      Effect.zipLeft(ended(failure)),
      Effect.match({
        onSuccess: (auditId) => {
          const { code, reason } = refusalOfFailure(failure)
          return errorEvent(refused({ code, reason, auditId }), requestId)
        },
        onFailure: unrecorded
      })
    )
  // Some clients take a stream that ends without an error event for a complete one.
  const broken = (cause: Cause.Cause<never>) =>
    Effect.logError("A stream failed", cause).pipe(
      Effect.annotateLogs({ request_id: requestId }),
      Effect.zipRight(recordOutcome(context, "failed", defectReason)),
      Effect.match({
        onSuccess: (auditId) =>
          errorEvent(refused({ code: "internal_error", reason: defectReason, auditId }), requestId),
        onFailure: unrecorded
      })
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
