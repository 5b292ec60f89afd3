import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { AuditUnavailable } from "../../audit/AuditUnavailable.ts"
import type { ChatPart } from "../protocol/ChatPart.ts"
import type { ProviderFailure } from "../providers/ProviderFailure.ts"
import type { ShellAnswer } from "../route/Attempt.ts"
import { appendOutput, type ChatRequestContext } from "../route/ChatRequestContext.ts"
import { refusalOfFailure, refusalOfTrail, refused } from "../route/RouteRefused.ts"
import { type AnswerFrame, doneEvent, errorEvent, pieceEvent, usageEvent } from "./AnswerBody.ts"
import type { ChatCompletionFinalizer } from "./ChatCompletionFinalizer.ts"

const encoder = new TextEncoder()

const failedHere = "the router failed; its log says why"

/**
 * The bytes of a streamed answer. It is pulled by the client's socket, so a client that reads slowly slows the provider down
 * and fills no memory. The end is recorded before it is told: `[DONE]` stands for a row in the trail.
 */
export const streamedAnswer = (
  finalizer: typeof ChatCompletionFinalizer.Service,
  context: ChatRequestContext,
  frame: AnswerFrame,
  { ended, first, rest }: Extract<ShellAnswer, { readonly _tag: "Streamed" }>,
  storeContent: boolean
): Stream.Stream<Uint8Array> => {
  const { requestId } = context
  const heard = (parts: Chunk.Chunk<ChatPart>): string => {
    let text = ""
    for (const part of parts) {
      appendOutput(context, part, storeContent)
      text += pieceEvent(frame, part)
    }
    return text
  }
  const unrecorded = (error: AuditUnavailable) => {
    context.outcome = "failed"
    return errorEvent(refusalOfTrail(error), requestId)
  }
  const completed = finalizer
    .recordOutcome(context, "completed", "the answer is whole")
    .pipe(
      Effect.zipLeft(ended()),
      Effect.match({ onSuccess: () => usageEvent(frame, context.usage) + doneEvent, onFailure: unrecorded })
    )
  const failed = (failure: ProviderFailure) =>
    finalizer.recordOutcome(context, "failed", failure.message).pipe(
      Effect.zipLeft(ended(failure)),
      Effect.match({
        onSuccess: (auditId) => {
          const { code, reason } = refusalOfFailure(failure)
          return errorEvent(refused({ code, reason, auditId }), requestId)
        },
        onFailure: unrecorded
      })
    )
  // A stream that ended here without a word would look whole to some clients.
  const broken = (cause: Cause.Cause<never>) =>
    Effect.logError("A stream failed", cause).pipe(
      Effect.annotateLogs({ request_id: requestId }),
      Effect.zipRight(finalizer.recordOutcome(context, "failed", failedHere)),
      Effect.match({
        onSuccess: (auditId) => errorEvent(refused({ code: "internal_error", reason: failedHere, auditId }), requestId),
        onFailure: unrecorded
      })
    )
  return Stream.concat(Stream.fromChunk(Chunk.of(first)), Stream.chunks(rest)).pipe(
    Stream.map(heard),
    Stream.concat(Stream.fromEffect(completed)),
    Stream.catchAll((failure) => Stream.fromEffect(failed(failure))),
    Stream.filter((text) => text !== ""),
    Stream.map((text) => encoder.encode(text)),
    // A defect of ours is no hang-up of the client.
    Stream.catchAllCause((cause) =>
      Cause.isInterruptedOnly(cause)
        ? Stream.failCause(cause)
        : Stream.fromEffect(Effect.map(broken(cause), (text) => encoder.encode(text)))
    )
  )
}
