import type { RouteRefused } from "../route/RouteRefused.ts"
import { refusalBody } from "../route/RouteRefused.ts"
import type { ChatPart } from "./ChatAnswer.ts"

/** What is the same in the whole answer: the model is the one that answered, the id is the request's. */
export interface Frame {
  readonly requestId: string
  readonly model: string
  readonly createdSeconds: number
  readonly includeUsage: boolean
}

const common = ({ createdSeconds, model, requestId }: Frame) => ({
  id: `chatcmpl-${requestId}`,
  created: createdSeconds,
  model
})

export const wholeBody = (frame: Frame, { choices, usage }: ChatPart) => ({
  ...common(frame),
  object: "chat.completion",
  choices,
  ...(usage === undefined ? {} : { usage: usage.raw })
})

/** A piece as an event; the piece that holds nothing but the usage is for those who asked for it. */
export const pieceEvent = (frame: Frame, { choices, usage }: ChatPart): string => {
  if (choices.length === 0 && !frame.includeUsage) return ""
  const body = {
    ...common(frame),
    object: "chat.completion.chunk",
    choices,
    ...(frame.includeUsage ? { usage: usage?.raw ?? null } : {})
  }
  return `data: ${JSON.stringify(body)}\n\n`
}

export const doneEvent = "data: [DONE]\n\n"

/** The end of a stream that could not be finished: no `[DONE]` follows. */
export const errorEvent = (refusal: RouteRefused, requestId: string): string =>
  `data: ${JSON.stringify({ error: refusalBody(refusal, requestId).error })}\n\n`
