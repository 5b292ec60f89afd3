import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { doneEvent, errorEvent, type Frame, pieceEvent } from "./AnswerBody.ts"
import { settleLate } from "./Attempt.ts"
import type { ChatPart } from "./ChatAnswer.ts"
import { type Course, hear } from "./Course.ts"
import type { Begun } from "./Deadlines.ts"
import type { Farewell } from "./Farewell.ts"
import type { ProviderFailure } from "./ProviderFailure.ts"
import type { Standing } from "./Providers.ts"
import { refusalOfFailure, refusalOfTrail, refused } from "./RouteRefused.ts"

const encoder = new TextEncoder()

/**
 * The bytes of a streamed answer. It is pulled by the client's socket, so a client that reads slowly slows the provider down
 * and fills no memory. The end is recorded before it is told: `[DONE]` stands for a row in the trail.
 */
export const streamedAnswer = (
  farewell: typeof Farewell.Service,
  standing: Standing,
  course: Course,
  frame: Frame,
  { first, rest }: Begun,
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
  const completed = farewell.conclude(course, "completed", "the answer is whole").pipe(
    Effect.match({
      onSuccess: () => doneEvent,
      onFailure: (error) => errorEvent(refusalOfTrail(error), requestId)
    })
  )
  const failed = (failure: ProviderFailure) =>
    farewell.conclude(course, "failed", failure.message).pipe(
      Effect.zipLeft(settleLate(standing, failure)),
      Effect.match({
        onSuccess: (auditId) => {
          const { code, reason } = refusalOfFailure(failure)
          return errorEvent(refused({ code, reason, auditId }), requestId)
        },
        onFailure: (error) => errorEvent(refusalOfTrail(error), requestId)
      })
    )
  return Stream.concat(Stream.fromChunk(Chunk.of(first)), Stream.chunks(rest)).pipe(
    Stream.map(heard),
    Stream.concat(Stream.fromEffect(completed)),
    Stream.catchAll((failure) => Stream.fromEffect(failed(failure))),
    Stream.filter((text) => text !== ""),
    Stream.map((text) => encoder.encode(text)),
    // A defect of ours is no hang-up of the client.
    Stream.onError((cause) =>
      Cause.isInterruptedOnly(cause)
        ? Effect.void
        : Effect.ignore(farewell.conclude(course, "failed", "the router failed; its log says why"))
    )
  )
}
