import { textOf } from "../protocol/ChatMessages.ts"
import type { ChatRequestContext } from "../route/ChatRequestContext.ts"
import type { NewHistoryRow } from "./History.ts"

/** The rows of a request: its messages, then the answer. None where no shell was asked. */
export const historyRows = (context: ChatRequestContext, storeContent: boolean): ReadonlyArray<NewHistoryRow> => {
  const { ghostId, outcome, request, shell, usage } = context
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
      content: storeContent && context.output !== "" ? context.output : null,
      finishReason: context.finishReason ?? null,
      promptTokens: usage?.promptTokens ?? null,
      completionTokens: usage?.completionTokens ?? null
    }
  ]
}
