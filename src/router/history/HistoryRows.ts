import type { Course } from "../Course.ts"
import { textOf } from "../chat/ChatMessages.ts"
import type { NewHistoryRow } from "./History.ts"

/** The rows of a request: its messages, then the answer. None where no shell was asked. */
export const historyRows = (course: Course, storeContent: boolean): ReadonlyArray<NewHistoryRow> => {
  const { ghostId, outcome, request, shell, usage } = course
  if (request === undefined || shell === undefined || ghostId === undefined) return []
  if (outcome === undefined || outcome === "refused") return []
  const common = {
    ghostId,
    shellId: shell.name,
    requestedModel: request.model,
    tier: shell.tier,
    provider: shell.provider,
    outcome,
    requestId: course.requestId
  } as const
  const nothing = { finishReason: null, promptTokens: null, completionTokens: null } as const
  return [
    ...request.messages.map((message) => ({
      ...common,
      ...nothing,
      role: message.role,
      content: storeContent ? textOf(message) : null
    })),
    {
      ...common,
      role: "assistant",
      content: storeContent && course.said !== "" ? course.said : null,
      finishReason: course.finishReason ?? null,
      promptTokens: usage?.promptTokens ?? null,
      completionTokens: usage?.completionTokens ?? null
    }
  ]
}
