import * as Predicate from "effect/Predicate"
import { isDeeperThan, memberOf, storable } from "../../domain/Text.ts"

/** Levels of objects and arrays in an answer. */
const maximumDepth = 64

export interface Usage {
  readonly promptTokens: number
  readonly completionTokens: number
  /** As the provider sent it, details included: the client gets it unchanged. */
  readonly raw: Readonly<Record<string, unknown>>
}

/** A complete answer, or a part of a streamed one, without the fields that name its provider. */
export interface ChatPart {
  /** As the provider sent them, with `message` in a complete answer and `delta` in a part. */
  readonly choices: ReadonlyArray<unknown>
  readonly usage: Usage | undefined
  /** The text of the first choice. */
  readonly text: string
  /** Why the first choice ended, where it did. */
  readonly finishReason: string | undefined
}

const count = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 2 ** 31 - 1 ? value : undefined

const readUsage = (value: unknown): Usage | undefined => {
  if (!Predicate.isReadonlyRecord(value)) return undefined
  const promptTokens = count(value["prompt_tokens"])
  const completionTokens = count(value["completion_tokens"])
  return promptTokens === undefined || completionTokens === undefined
    ? undefined
    : { promptTokens, completionTokens, raw: value }
}

/** As a table can hold it. Some servers send an empty one with every part but the last. */
const readFinishReason = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? storable(value.slice(0, 50)) : undefined

/** Gemini leaves the field out where there is no choice: it blocked the prompt, or sends only the usage. */
const readChoices = ({ choices, object }: Readonly<Record<string, unknown>>): ReadonlyArray<unknown> | undefined => {
  if (Array.isArray(choices)) return choices
  const isNone = choices === undefined || choices === null
  return isNone && (object === "chat.completion" || object === "chat.completion.chunk") ? [] : undefined
}

/** Reads a chat completion (`message`) or a chunk of one (`delta`); undefined for anything else. */
export const readPart = (value: unknown, content: "message" | "delta"): ChatPart | undefined => {
  if (!Predicate.isReadonlyRecord(value)) return undefined
  // A deeper value could not be written as JSON again.
  if (isDeeperThan(value, maximumDepth)) return undefined
  const choices = readChoices(value)
  if (choices === undefined || !choices.every(Predicate.isReadonlyRecord)) return undefined
  const first = choices.find((choice) => (memberOf(choice, "index") ?? 0) === 0)
  const text = memberOf(memberOf(first, content), "content")
  return {
    choices,
    usage: readUsage(value["usage"]),
    text: typeof text === "string" ? text : "",
    finishReason: readFinishReason(memberOf(first, "finish_reason"))
  }
}

/** OpenAI's limit of `n`. */
const maximumChoices = 128

/** The index of a choice; 0 where it is missing or not valid. */
const choiceIndexOf = ({ index }: Readonly<Record<string, unknown>>): number =>
  typeof index === "number" && index >= 0 && index < maximumChoices ? index : 0

/** Finds out whether all choices of a stream that have begun have ended. */
export const makeEnding = () => {
  const begun = new Set<number>()
  const ended = new Set<number>()
  return {
    add: ({ choices }: ChatPart): void => {
      for (const choice of choices) {
        if (!Predicate.isReadonlyRecord(choice)) continue
        const index = choiceIndexOf(choice)
        begun.add(index)
        if (readFinishReason(choice["finish_reason"]) !== undefined) ended.add(index)
      }
    },
    hasBegun: (): boolean => begun.size > 0,
    isComplete: (): boolean => begun.size > 0 && ended.size === begun.size
  }
}

export const isErrorAnswer = (value: unknown): boolean => Predicate.isNotNullable(memberOf(value, "error"))

interface LatestCall {
  readonly index: number
  readonly id: unknown
}

/** Whether this is a new call. A part of the latest call has the same id, or neither id nor name. */
const begins = (call: Readonly<Record<string, unknown>>, latest: LatestCall): boolean => {
  const { function: called, id } = call
  if (typeof id === "string" && id !== "") return id !== latest.id
  const name = memberOf(called, "name")
  return typeof name === "string" && name !== ""
}

/** Adds the `index` of streamed tool calls where the provider, such as Gemini, leaves it out: OpenAI's clients lose a call without one. */
export const makeToolCallIndices = () => {
  const latest = new Map<number, LatestCall>()

  const indexed = (choice: number) => (call: unknown) => {
    if (!Predicate.isReadonlyRecord(call)) return call
    const { id, index: given } = call
    const before = latest.get(choice) ?? { index: -1, id: undefined }
    const isNew = before.index < 0 || begins(call, before)
    const index = typeof given === "number" ? given : isNew ? before.index + 1 : before.index
    latest.set(choice, { index, id: isNew ? id : before.id })
    return { ...call, index }
  }

  return (part: ChatPart): ChatPart => ({
    ...part,
    choices: part.choices.map((choice) => {
      const delta = memberOf(choice, "delta")
      const calls = memberOf(delta, "tool_calls")
      if (!Predicate.isReadonlyRecord(choice) || !Array.isArray(calls)) return choice
      return { ...choice, delta: { ...Object(delta), tool_calls: calls.map(indexed(choiceIndexOf(choice))) } }
    })
  })
}
