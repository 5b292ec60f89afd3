import * as Either from "effect/Either"
import { parseChatRequest } from "../../../src/router/protocol/ChatRequest.ts"
import type { Call } from "../../../src/router/providers/Provider.ts"

export const callOf = (
  question: string,
  fields: Readonly<Record<string, unknown>> = {},
  upstreamModel = "upstream-name"
): Call => ({
  upstreamModel,
  request: Either.getOrThrow(
    parseChatRequest({
      model: "a-shell",
      messages: [
        { role: "system", content: "be brief" },
        { role: "user", content: question }
      ],
      ...fields
    })
  )
})
