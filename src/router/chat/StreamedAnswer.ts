import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { AuditUnavailable } from "../../audit/AuditUnavailable.ts"
import { type Course, hear } from "../Course.ts"
import type { ProviderFailure } from "../providers/ProviderFailure.ts"
import type { Answer } from "../route/Attempt.ts"
import { refusalOfFailure, refusalOfTrail, refused } from "../route/RouteRefused.ts"
import { doneEvent, errorEvent, type Frame, pieceEvent, usageEvent } from "./AnswerBody.ts"
import type { ChatPart } from "./ChatAnswer.ts"
import type { Farewell } from "./Farewell.ts"

const encoder = new TextEncoder()

const failedHere = "the router failed; its log says why"

/**
 * The bytes of a streamed answer. It is pulled by the client's socket, so a client that reads slowly slows the provider down
 * and fills no memory. The end is recorded before it is told: `[DONE]` stands for a row in the trail.
 */
export const streamedAnswer = (
  farewell: typeof Farewell.Service,
  course: Course,
  frame: Frame,
  { ended, first, rest }: Extract<Answer, { readonly _tag: "Streamed" }>,
  storeContent: boolean
): Stream.Stream<Uint8Array> => {
  const { requestId } = course
  const heard = (parts: Chunk.Chunk<ChatPart>): string => {
    let text = ""
    for (const part of parts) {
      hear(course, part, storeContent)
      text += pieceEvent(frame, part)
    }
    return text
  }
  const unrecorded = (error: AuditUnavailable) => {
    course.outcome = "failed"
    return errorEvent(refusalOfTrail(error), requestId)
  }
  const completed = farewell
    .conclude(course, "completed", "the answer is whole")
    .pipe(
      Effect.zipLeft(ended()),
      Effect.match({ onSuccess: () => usageEvent(frame, course.usage) + doneEvent, onFailure: unrecorded })
    )
  const failed = (failure: ProviderFailure) =>
    farewell.conclude(course, "failed", failure.message).pipe(
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
      Effect.zipRight(farewell.conclude(course, "failed", failedHere)),
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
