import * as Predicate from "effect/Predicate"
import { choiceLimits } from "../../contracts/router/ChatSchemas.ts"
import { memberOf, storable } from "../../domain/Text.ts"
import { jsonMembers } from "./JsonMembers.ts"
import { normalizeToolCalls } from "./ToolCalls.ts"

/** Levels of objects and arrays in an answer. */
const maximumDepth = 64

export interface Usage {
  readonly promptTokens: number
  readonly completionTokens: number
  /** As the provider sent it, details included: the client gets it unchanged. */
  readonly raw: Readonly<Record<string, unknown>>
}

type Choice = Readonly<Record<PropertyKey, unknown>>

/** A complete answer, or a part of a streamed one, in OpenAI's form and without the fields that name its provider. */
export interface ChatPart {
  /** With `message` in a complete answer and `delta` in a part. */
  readonly choices: ReadonlyArray<Choice>
  /** `choices` as JSON, in one line: as the provider sent it, where that has OpenAI's form. */
  readonly choicesText: string
  /** Further members for the client: `,"citations":[…]`; empty where there are none. */
  readonly moreText: string
  readonly usage: Usage | undefined
  /** The text of the first choice. */
  readonly text: string
  /** Why the first choice ended, where it did. */
  readonly finishReason: string | undefined
  /** Characters of texts, thoughts and arguments in all choices. */
  readonly characters: number
  /** Whether it has text, thoughts, a call or an end. The first such part begins an answer: before it nothing was said. */
  readonly hasContent: boolean
  /** Whether all choices have ended: those that have begun, and as many as the request asks for. */
  readonly isEnd: boolean
}

/** A part that holds nothing: the provider showed that it works on the answer. */
export const signOfLife: ChatPart = {
  choices: [],
  choicesText: "[]",
  moreText: "",
  usage: undefined,
  text: "",
  finishReason: undefined,
  characters: 0,
  hasContent: false,
  isEnd: false
}

/** Members of an answer, besides those that every part has, that clients read. Others may name the provider. */
const passedMembers: ReadonlySet<string> = new Set([
  "citations",
  "images",
  "prompt_filter_results",
  "related_questions",
  "search_results",
  "service_tier",
  "system_fingerprint",
  "videos"
])

const count = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 2 ** 31 - 1 ? value : undefined

/** Groq's streams have the usage in a member of its own. */
export const readUsage = (answer: Choice): Usage | undefined => {
  const raw = answer["usage"] ?? memberOf(answer["x_groq"], "usage")
  if (!Predicate.isReadonlyRecord(raw)) return undefined
  const promptTokens = count(raw["prompt_tokens"])
  const completionTokens = count(raw["completion_tokens"])
  return promptTokens === undefined || completionTokens === undefined
    ? undefined
    : { promptTokens, completionTokens, raw }
}

/** As a table can hold it. */
export const readFinishReason = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? storable(value.slice(0, 50)) : undefined

/** Whether a choice says in itself that the provider failed, as OpenRouter's do. */
const hasFailed = (choice: Choice): boolean =>
  Predicate.isNotNullable(choice["error"]) || choice["finish_reason"] === "error"

export const isIndex = (value: unknown): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value < choiceLimits.max

const isFilled = (value: unknown): boolean => {
  if (typeof value !== "object" || value === null) return typeof value === "string" && value !== ""
  return Array.isArray(value) ? value.length > 0 : Object.keys(value).length > 0
}

/** What a message, or a piece of one, says. */
interface ContentMeasure {
  readonly characters: number
  readonly hasContent: boolean
}

const lengthOf = (value: unknown): number => {
  if (typeof value === "string") return value.length
  if (typeof value !== "object" || value === null) return 0
  let length = 0
  for (const one of Object.values(value)) length += lengthOf(one)
  return length
}

export const measureContent = (message: unknown): ContentMeasure => {
  let characters = 0
  let hasContent = false
  if (!Predicate.isReadonlyRecord(message)) return { characters, hasContent }
  for (const name in message) {
    const value = message[name]
    if (name === "role" || !isFilled(value)) continue
    hasContent = true
    characters += lengthOf(value)
  }
  return { characters, hasContent }
}

interface Answer {
  readonly choices: ReadonlyArray<Record<PropertyKey, unknown>>
  readonly value: Choice
  readonly members: ReadonlyMap<string, string>
}

/**
 * Reads what both forms of an answer share. `error`: an error of the provider in place of an answer, or in one of its choices; undefined
 * for anything else. Gemini leaves `choices` out where there is none: it blocked the prompt, or sends only the usage.
 */
export const readAnswer = (value: unknown, text: string): Answer | "error" | undefined => {
  if (!Predicate.isReadonlyRecord(value)) return undefined
  if (isErrorAnswer(value)) return "error"
  const { choices = [] } = value
  const given = choices ?? []
  if (!Array.isArray(given) || given.length > choiceLimits.max || !given.every(Predicate.isRecord)) return undefined
  if (given.some(hasFailed)) return "error"
  let { depth, texts } = jsonMembers(text)
  // A deeper value could not be written as JSON again.
  if (depth > maximumDepth) return undefined
  // An event of a stream ends at the end of a line.
  if (text.includes("\n")) texts = jsonMembers(JSON.stringify(value)).texts
  return { choices: given, value, members: texts }
}

export const partOf = (
  { choices, members, value }: Answer,
  content: "message" | "delta",
  facts: ContentMeasure & { readonly isChanged: boolean; readonly isEnd: boolean }
): ChatPart => {
  const first = choices.find(({ index }) => index === 0)
  const text = memberOf(memberOf(first, content), "content")
  let moreText = ""
  for (const [name, one] of members) if (passedMembers.has(name)) moreText += `,${JSON.stringify(name)}:${one}`
  const given = facts.isChanged ? undefined : members.get("choices")
  return {
    choices,
    choicesText: given ?? JSON.stringify(choices),
    moreText,
    usage: readUsage(value),
    text: typeof text === "string" ? text : "",
    finishReason: readFinishReason(first?.["finish_reason"]),
    characters: facts.characters,
    hasContent: facts.hasContent,
    isEnd: facts.isEnd
  }
}

/** vLLM's errors have no member `error`. */
export const isErrorAnswer = (value: unknown): boolean =>
  Predicate.isNotNullable(memberOf(value, "error")) || memberOf(value, "object") === "error"

/** Why a choice ended that does not say so. `hasFunctionCall`: it has a `function_call`, the form before calls of tools. */
export const endReason = (hasCalls: boolean, hasFunctionCall: boolean): string =>
  hasCalls ? "tool_calls" : hasFunctionCall ? "function_call" : "stop"

/** Reads a whole chat completion from its JSON and its text, and fills in what it leaves out. */
export const readCompletion = (value: unknown, text: string, newId: () => string): ChatPart | "error" | undefined => {
  const answer = readAnswer(value, text)
  if (answer === undefined || answer === "error") return answer
  const isCompletion = Array.isArray(answer.value["choices"]) || answer.value["object"] === "chat.completion"
  if (!isCompletion) return undefined
  let isChanged = false
  let characters = 0
  const set = (fields: Record<PropertyKey, unknown>, name: string, filled: unknown) => {
    fields[name] = filled
    isChanged = true
  }
  for (const [position, choice] of answer.choices.entries()) {
    if (!isIndex(choice["index"])) set(choice, "index", position)
    if (!Predicate.isRecord(choice["message"])) set(choice, "message", {})
    const message = choice["message"]
    if (!Predicate.isRecord(message)) continue
    if (typeof message["role"] !== "string") set(message, "role", "assistant")
    if (message["content"] === undefined) set(message, "content", null)
    const calls = message["tool_calls"]
    if (Array.isArray(calls) && normalizeToolCalls(calls, newId)) isChanged = true
    if (readFinishReason(choice["finish_reason"]) === undefined) {
      const hasCalls = Array.isArray(calls) && calls.length > 0
      set(choice, "finish_reason", endReason(hasCalls, Predicate.isRecord(message["function_call"])))
    }
    characters += measureContent(message).characters
  }
  return partOf(answer, "message", { isChanged, characters, hasContent: true, isEnd: true })
}

/** A part that this program makes itself, in OpenAI's form. */
export const makePart = (content: "message" | "delta", choices: ReadonlyArray<Choice>, usage?: Usage): ChatPart => {
  const said = choices.map((choice) => measureContent(choice[content]))
  const hasContent = choices.some((choice, i) => choice["finish_reason"] !== null || said[i]?.hasContent === true)
  const characters = said.reduce((sum, one) => sum + one.characters, 0)
  const part = partOf({ choices, value: {}, members: new Map() }, content, {
    isChanged: true,
    characters,
    hasContent,
    isEnd: false
  })
  return { ...part, usage }
}
