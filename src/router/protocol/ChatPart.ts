import * as Predicate from "effect/Predicate"
import { memberOf, storable } from "../../domain/Text.ts"
import { jsonMembers } from "./JsonMembers.ts"
import { makeToolCallPieces, normalizeToolCalls } from "./ToolCalls.ts"

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
  /** Whether it has text, thoughts, a call or an end. The first such part begins an answer: before it nothing was said. */
  readonly hasContent: boolean
  /** Whether all choices that have begun have ended. */
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
const readUsage = (answer: Choice): Usage | undefined => {
  const raw = answer["usage"] ?? memberOf(answer["x_groq"], "usage")
  if (!Predicate.isReadonlyRecord(raw)) return undefined
  const promptTokens = count(raw["prompt_tokens"])
  const completionTokens = count(raw["completion_tokens"])
  return promptTokens === undefined || completionTokens === undefined
    ? undefined
    : { promptTokens, completionTokens, raw }
}

/** As a table can hold it. */
const readFinishReason = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? storable(value.slice(0, 50)) : undefined

/** Whether a choice says in itself that the provider failed, as OpenRouter's do. */
const hasFailed = (choice: Choice): boolean =>
  Predicate.isNotNullable(choice["error"]) || choice["finish_reason"] === "error"

/** OpenAI's limit of `n`. */
const maximumChoices = 128

const isIndex = (value: unknown): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value < maximumChoices

const isFilled = (value: unknown): boolean => {
  if (typeof value !== "object" || value === null) return typeof value === "string" && value !== ""
  return Array.isArray(value) ? value.length > 0 : Object.keys(value).length > 0
}

const saysSomething = (delta: Choice): boolean => {
  for (const name in delta) if (name !== "role" && isFilled(delta[name])) return true
  return false
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
const readAnswer = (value: unknown, text: string): Answer | "error" | undefined => {
  if (!Predicate.isReadonlyRecord(value)) return undefined
  if (isErrorAnswer(value)) return "error"
  const { choices = [] } = value
  const given = choices ?? []
  if (!Array.isArray(given) || !given.every(Predicate.isRecord)) return undefined
  if (given.some(hasFailed)) return "error"
  let { depth, texts } = jsonMembers(text)
  // A deeper value could not be written as JSON again.
  if (depth > maximumDepth) return undefined
  // An event of a stream ends at the end of a line.
  if (text.includes("\n")) texts = jsonMembers(JSON.stringify(value)).texts
  return { choices: given, value, members: texts }
}

const partOf = (
  { choices, members, value }: Answer,
  content: "message" | "delta",
  facts: { readonly isChanged: boolean; readonly hasContent: boolean; readonly isEnd: boolean }
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
    hasContent: facts.hasContent,
    isEnd: facts.isEnd
  }
}

/** vLLM's errors have no member `error`. */
export const isErrorAnswer = (value: unknown): boolean =>
  Predicate.isNotNullable(memberOf(value, "error")) || memberOf(value, "object") === "error"

const endReason = (hasCalls: boolean): string => (hasCalls ? "tool_calls" : "stop")

/** Reads a whole chat completion from its JSON and its text, and fills in what it leaves out. */
export const readCompletion = (value: unknown, text: string, newId: () => string): ChatPart | "error" | undefined => {
  const answer = readAnswer(value, text)
  if (answer === undefined || answer === "error") return answer
  const isCompletion = Array.isArray(answer.value["choices"]) || answer.value["object"] === "chat.completion"
  if (!isCompletion) return undefined
  let isChanged = false
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
    if (readFinishReason(choice["finish_reason"]) === undefined)
      set(choice, "finish_reason", endReason(Array.isArray(calls) && calls.length > 0))
  }
  return partOf(answer, "message", { isChanged, hasContent: true, isEnd: true })
}

interface StreamedChoice {
  hasRole: boolean
  hasEnded: boolean
  readonly calls: ReturnType<typeof makeToolCallPieces>
}

/** Brings one choice of a chunk into OpenAI's form, in place. Returns whether that changed it. */
const normalizeChoice = (choice: Record<PropertyKey, unknown>, state: StreamedChoice): boolean => {
  let isChanged = false
  if (!Predicate.isRecord(choice["delta"])) {
    choice["delta"] = {}
    isChanged = true
  }
  const delta = choice["delta"]
  if (!Predicate.isRecord(delta)) return isChanged
  if (!state.hasRole && typeof delta["role"] !== "string") {
    choice["delta"] = { role: "assistant", ...delta, ...("role" in delta ? { role: "assistant" } : {}) }
    isChanged = true
  }
  state.hasRole = true
  const calls = delta["tool_calls"]
  if (Array.isArray(calls) && calls.length > 0) {
    Object.assign(Object(choice["delta"]), { tool_calls: calls.map(state.calls.normalize) })
    isChanged = true
  }
  const reason = choice["finish_reason"]
  if (typeof reason === "string" && reason !== "") state.hasEnded = true
  else if (reason !== null) {
    choice["finish_reason"] = null
    isChanged = true
  }
  return isChanged
}

/** Reads the chunks of one stream, in order. */
export const makeChunkReader = (newId: () => string) => {
  const begun = new Map<number, StreamedChoice>()

  const stateOf = (index: number): StreamedChoice => {
    const known = begun.get(index)
    if (known !== undefined) return known
    const state = { hasRole: false, hasEnded: false, calls: makeToolCallPieces(newId) }
    begun.set(index, state)
    return state
  }

  const isEnd = (): boolean => begun.size > 0 && [...begun.values()].every(({ hasEnded }) => hasEnded)

  /** `ignored`: a JSON object that is not a chunk, such as a ping or an event of the vendor. */
  const read = (value: unknown, text: string): ChatPart | "error" | "ignored" | undefined => {
    const answer = readAnswer(value, text)
    if (answer === undefined || answer === "error") return answer
    if (answer.choices.length === 0) {
      const usage = readUsage(answer.value)
      return usage === undefined ? "ignored" : { ...signOfLife, usage, isEnd: isEnd() }
    }
    let isChanged = false
    let hasContent = false
    for (const [position, choice] of answer.choices.entries()) {
      if (!isIndex(choice["index"])) {
        choice["index"] = position
        isChanged = true
      }
      const { index } = choice
      if (normalizeChoice(choice, stateOf(isIndex(index) ? index : 0))) isChanged = true
      const delta = choice["delta"]
      hasContent ||= choice["finish_reason"] !== null || (Predicate.isReadonlyRecord(delta) && saysSomething(delta))
    }
    return partOf(answer, "delta", { isChanged, hasContent, isEnd: isEnd() })
  }

  return {
    read,
    hasBegun: (): boolean => begun.size > 0,
    isEnd,
    /** The end of choices that have begun and did not say why they ended; undefined where all did. */
    close: (): ChatPart | undefined => {
      const open = [...begun].filter(([, { hasEnded }]) => !hasEnded)
      if (open.length === 0) return undefined
      const choices = open.map(([index, { calls }]) => ({
        index,
        delta: {},
        finish_reason: endReason(calls.hasCalls())
      }))
      return partOf({ choices, value: {}, members: new Map() }, "delta", {
        isChanged: true,
        hasContent: true,
        isEnd: true
      })
    }
  }
}

/** A part that this program makes itself, in OpenAI's form. */
export const makePart = (content: "message" | "delta", choices: ReadonlyArray<Choice>, usage?: Usage): ChatPart => ({
  ...partOf({ choices, value: {}, members: new Map() }, content, {
    isChanged: true,
    hasContent: choices.some(
      (choice) => choice["finish_reason"] !== null || saysSomething(Object(choice[content] ?? {}))
    ),
    isEnd: false
  }),
  usage
})
