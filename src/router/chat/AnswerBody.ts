import type { ChatPart, Usage } from "../protocol/ChatPart.ts"
import type { RouteRefused } from "../route/RouteRefused.ts"
import { refusalBody } from "../route/RouteRefused.ts"

/** What is the same in the whole answer: the model is the one that answered, the id is the request's. */
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

/** A piece as an event, without its usage; nothing where it has no choice. */
export const pieceEvent = (frame: AnswerFrame, { choices }: ChatPart): string =>
  choices.length === 0 ? "" : chunkEvent(frame, choices, null)

/**
 * The usage, for those who asked for it: once, at the end and by itself, as OpenAI's clients expect it. DeepInfra tells it beside the
 * last choice, and Gemini beside each: a client that adds them up would count double.
 */
export const usageEvent = (frame: AnswerFrame, usage: Usage | undefined): string =>
  usage === undefined || !frame.includeUsage ? "" : chunkEvent(frame, [], usage.raw)

export const doneEvent = "data: [DONE]\n\n"

/** The end of a stream that could not be finished: no `[DONE]` follows. */
export const errorEvent = (refusal: RouteRefused, requestId: string): string =>
  `data: ${JSON.stringify({ error: refusalBody(refusal, requestId).error })}\n\n`
