import * as Predicate from "effect/Predicate"
import {
  type ChatPart,
  endReason,
  isIndex,
  measureContent,
  partOf,
  readAnswer,
  readUsage,
  signOfLife
} from "./ChatPart.ts"
import { makeToolCallPieces } from "./ToolCalls.ts"

interface StreamedChoice {
  hasRole: boolean
  hasEnded: boolean
  hasFunctionCall: boolean
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
  state.hasFunctionCall ||= Predicate.isRecord(delta["function_call"])
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

/** Reads the chunks of one stream, in order. `expected`: choices that the request asks for. */
export const makeChunkReader = (newId: () => string, expected = 1) => {
  const begun = new Map<number, StreamedChoice>()

  const stateOf = (index: number): StreamedChoice => {
    const known = begun.get(index)
    if (known !== undefined) return known
    const state = { hasRole: false, hasEnded: false, hasFunctionCall: false, calls: makeToolCallPieces(newId) }
    begun.set(index, state)
    return state
  }

  const isEnd = (): boolean => begun.size > 0 && [...begun.values()].every(({ hasEnded }) => hasEnded)

  /** A choice that has not begun may still come: some servers send one after the other. */
  const isWhole = (): boolean => begun.size >= expected && isEnd()

  /** `ignored`: a JSON object that is not a chunk, such as a ping or an event of the vendor. */
  const read = (value: unknown, text: string): ChatPart | "error" | "ignored" | undefined => {
    const answer = readAnswer(value, text)
    if (answer === undefined || answer === "error") return answer
    if (answer.choices.length === 0) {
      const usage = readUsage(answer.value)
      return usage === undefined ? "ignored" : { ...signOfLife, usage, isEnd: isWhole() }
    }
    let isChanged = false
    let hasContent = false
    let characters = 0
    for (const [position, choice] of answer.choices.entries()) {
      if (!isIndex(choice["index"])) {
        choice["index"] = position
        isChanged = true
      }
      const { index } = choice
      const state = stateOf(isIndex(index) ? index : 0)
      if (normalizeChoice(choice, state)) isChanged = true
      if (state.calls.isTooLarge()) return undefined
      const said = measureContent(choice["delta"])
      characters += said.characters
      hasContent ||= said.hasContent || choice["finish_reason"] !== null
    }
    return partOf(answer, "delta", { isChanged, characters, hasContent, isEnd: isWhole() })
  }

  return {
    read,
    hasBegun: (): boolean => begun.size > 0,
    /** Whether all choices that have begun have ended. A provider may send fewer than the request asks for. */
    isEnd,
    /** The end of choices that have begun and did not say why they ended; undefined where all did. */
    close: (): ChatPart | undefined => {
      const open = [...begun].filter(([, { hasEnded }]) => !hasEnded)
      if (open.length === 0) return undefined
      const choices = open.map(([index, { calls, hasFunctionCall }]) => ({
        index,
        delta: {},
        finish_reason: endReason(calls.hasCalls(), hasFunctionCall)
      }))
      return partOf({ choices, value: {}, members: new Map() }, "delta", {
        isChanged: true,
        characters: 0,
        hasContent: true,
        isEnd: true
      })
    }
  }
}
