import * as Either from "effect/Either"
import { parseChatRequest } from "../../../src/router/protocol/ChatRequest.ts"
import type { Call } from "../../../src/router/providers/Provider.ts"

/** Reads a body as the router does, with its JSON as text. */
export const readChatRequest = (body: unknown, maximumMessages = 1_000) =>
  parseChatRequest(body, { text: JSON.stringify(body) ?? "", maximumMessages })

export const callOf = (
  question: string,
  fields: Readonly<Record<string, unknown>> = {},
  upstreamModel = "upstream-name"
): Call => ({
  upstreamModel,
  request: Either.getOrThrow(
    readChatRequest({
      model: "a-shell",
      messages: [
        { role: "system", content: "be brief" },
        { role: "user", content: question }
      ],
      ...fields
    })
  )
})
