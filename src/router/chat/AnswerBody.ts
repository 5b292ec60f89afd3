import { errorTypeOf } from "../../contracts/router/RouterErrors.ts"
import type { ChatPart, Usage } from "../protocol/ChatPart.ts"
import type { RouteRefused } from "../route/RouteRefused.ts"

/** What all events of an answer share: the model that answered, and the request's id. */
export interface AnswerFrame {
  readonly requestId: string
  readonly model: string
  readonly createdSeconds: number
  readonly includeUsage: boolean
}

const common = ({ createdSeconds, model, requestId }: AnswerFrame) => ({
  id: `chatcmpl-${requestId}`,
  created: createdSeconds,
  model
})

export const wholeBody = (frame: AnswerFrame, { choices, usage }: ChatPart) => ({
  ...common(frame),
  object: "chat.completion",
  choices,
  ...(usage === undefined ? {} : { usage: usage.raw })
})

const chunkEvent = (frame: AnswerFrame, choices: ChatPart["choices"], usage: Usage["raw"] | null): string => {
  const body = {
    ...common(frame),
    object: "chat.completion.chunk",
    choices,
    ...(frame.includeUsage ? { usage } : {})
  }
  return `data: ${JSON.stringify(body)}\n\n`
}

/** The event of a part, without its usage; empty where the part has no choice. */
export const pieceEvent = (frame: AnswerFrame, { choices }: ChatPart): string =>
  choices.length === 0 ? "" : chunkEvent(frame, choices, null)

/**
 * The event with the usage, if the client asked for it: once, at the end and by itself, as OpenAI's clients expect it. DeepInfra sends it
 * with the last choice and Gemini with each, which clients that add them up would count twice.
 */
export const usageEvent = (frame: AnswerFrame, usage: Usage | undefined): string =>
  usage === undefined || !frame.includeUsage ? "" : chunkEvent(frame, [], usage.raw)

export const doneEvent = "data: [DONE]\n\n"

const errorOf = ({ auditId, code, param, reason }: RouteRefused, requestId: string) => ({
  message: reason,
  type: errorTypeOf(code),
  param: param ?? null,
  code,
  request_id: requestId,
  ...(auditId === undefined ? {} : { audit_id: auditId })
})

/** The last event of a stream that failed: no `[DONE]` follows. */
export const errorEvent = (refusal: RouteRefused, requestId: string): string =>
  `data: ${JSON.stringify({ error: errorOf(refusal, requestId) })}\n\n`
