import type { NewHistoryRow } from "../../../src/router/history/History.ts"

/** A message of a request, as the router writes it. */
export const row = (requestId: string, content: string | null = null): NewHistoryRow => ({
  role: "user",
  content,
  message: null,
  ghostId: "Scout",
  shellId: "echo",
  requestedModel: "echo",
  tier: "L1",
  provider: "echo",
  outcome: "completed",
  finishReason: null,
  promptTokens: null,
  completionTokens: null,
  usageEstimated: null,
  requestId
})
