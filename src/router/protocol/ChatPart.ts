import { isDeeperThan } from "../../platform/http/Depth.ts"
import { isPlainObject } from "./ChatMessages.ts"

/** Levels of objects and arrays in an answer. */
const maximumDepth = 64

export interface Usage {
  readonly promptTokens: number
  readonly completionTokens: number
  /** As the provider told it, details included: what the client is given. */
  readonly raw: Readonly<Record<string, unknown>>
}

/** A whole answer, or a piece of a streamed one, without what names its provider. */
export interface ChatPart {
  /** As the provider sent them: `message` in each of a whole answer, `delta` in each of a piece. */
  readonly choices: ReadonlyArray<unknown>
  readonly usage: Usage | undefined
  /** What the first choice says in words. */
  readonly text: string
  /** Why the first choice ended, where it did. */
  readonly finishReason: string | undefined
}

const count = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 2 ** 31 - 1 ? value : undefined

const readUsage = (value: unknown): Usage | undefined => {
  if (!isPlainObject(value)) return undefined
  const promptTokens = count(value["prompt_tokens"])
  const completionTokens = count(value["completion_tokens"])
  return promptTokens === undefined || completionTokens === undefined
    ? undefined
    : { promptTokens, completionTokens, raw: value }
}

/** As a table can hold it. Some servers give every piece one, and leave it empty until the last. */
const readFinishReason = (value: unknown): string | undefined =>
  typeof value === "string" && value !== ""
    ? value.slice(0, 50).replaceAll("\u0000", "\ufffd").toWellFormed()
    : undefined

/** Gemini leaves the field out where it has no choice to tell: it blocked the prompt, or tells nothing but the usage. */
const readChoices = ({ choices, object }: Readonly<Record<string, unknown>>): ReadonlyArray<unknown> | undefined => {
  if (Array.isArray(choices)) return choices
  const isNone = choices === undefined || choices === null
  return isNone && (object === "chat.completion" || object === "chat.completion.chunk") ? [] : undefined
}

/** Reads a chat completion (`message`) or a chunk of one (`delta`); undefined for anything else. */
export const readPart = (value: unknown, content: "message" | "delta"): ChatPart | undefined => {
  if (!isPlainObject(value)) return undefined
  // What is deeper could not be written as JSON again.
  if (isDeeperThan(value, maximumDepth)) return undefined
  const choices = readChoices(value)
  if (choices === undefined || !choices.every(isPlainObject)) return undefined
  const first = choices.find((choice) => isPlainObject(choice) && (choice["index"] ?? 0) === 0)
  const said = isPlainObject(first) ? first[content] : undefined
  const text = isPlainObject(said) ? said["content"] : undefined
  const finish = isPlainObject(first) ? first["finish_reason"] : undefined
  return {
    choices,
    usage: readUsage(value["usage"]),
    text: typeof text === "string" ? text : "",
    finishReason: readFinishReason(finish)
  }
}

/** What `n` may be at OpenAI. */
const maximumChoices = 128

/** Which of the choices it is; the first where that is not told. */
export const choiceIndexOf = ({ index }: Readonly<Record<string, unknown>>): number =>
  typeof index === "number" && index >= 0 && index < maximumChoices ? index : 0

/** Follows the choices of a stream to their ends: whether all that have begun have ended. */
export const makeEnding = () => {
  const begun = new Set<number>()
  const ended = new Set<number>()
  return {
    hear: ({ choices }: ChatPart): void => {
      for (const choice of choices) {
        if (!isPlainObject(choice)) continue
        const index = choiceIndexOf(choice)
        begun.add(index)
        if (readFinishReason(choice["finish_reason"]) !== undefined) ended.add(index)
      }
    },
    hasBegun: (): boolean => begun.size > 0,
    isComplete: (): boolean => begun.size > 0 && ended.size === begun.size
  }
}

/** Whether a provider says, with whatever status, that it failed. */
export const isErrorAnswer = (value: unknown): boolean =>
  isPlainObject(value) && value["error"] !== undefined && value["error"] !== null
