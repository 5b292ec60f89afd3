import { textOf } from "../protocol/ChatRequest.ts"
import type { ChatRequestContext } from "./ChatRequestContext.ts"

/** Tokens of a request and its answer. */
export interface TokenCount {
  readonly promptTokens: number
  readonly completionTokens: number
  readonly isEstimated: boolean
}

/** About what tokenizers make of English prose and of code. */
const charactersPerToken = 4

const tokensOf = (characters: number): number => Math.ceil(characters / charactersPerToken)

/**
 * The tokens as the provider counted them. Most providers count at the end of a stream, so an answer that was cut has no count: it is
 * estimated from the characters that were said. Undefined where nothing was said.
 */
export const countTokens = ({
  characters,
  request,
  usage
}: Pick<ChatRequestContext, "characters" | "request" | "usage">): TokenCount | undefined => {
  if (usage !== undefined) {
    return { promptTokens: usage.promptTokens, completionTokens: usage.completionTokens, isEstimated: false }
  }
  if (characters === 0 || request === undefined) return undefined
  const asked = request.messages.reduce((sum, message) => sum + (textOf(message)?.length ?? 0), 0)
  return { promptTokens: tokensOf(asked), completionTokens: tokensOf(characters), isEstimated: true }
}
