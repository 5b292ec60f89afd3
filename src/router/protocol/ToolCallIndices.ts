import { isPlainObject } from "./ChatMessages.ts"
import { type ChatPart, choiceIndexOf } from "./ChatPart.ts"

interface Latest {
  readonly index: number
  readonly id: unknown
}

/** Whether it is the next call, and no further piece of the latest: that has the same id, or neither id nor name. */
const begins = (call: Readonly<Record<string, unknown>>, latest: Latest): boolean => {
  const { function: called, id } = call
  if (typeof id === "string" && id !== "") return id !== latest.id
  return isPlainObject(called) && typeof called["name"] === "string" && called["name"] !== ""
}

/**
 * Follows the calls of tools in a stream, and gives each its `index` where the provider does not, as Gemini. OpenAI's clients put a
 * call together by it: without, they lose the call and say nothing.
 */
export const makeToolCallIndices = () => {
  const latest = new Map<number, Latest>()

  const indexed = (choice: number) => (call: unknown) => {
    if (!isPlainObject(call)) return call
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
      const delta = isPlainObject(choice) ? choice["delta"] : undefined
      if (!isPlainObject(choice) || !isPlainObject(delta) || !Array.isArray(delta["tool_calls"])) return choice
      const calls: ReadonlyArray<unknown> = delta["tool_calls"]
      return { ...choice, delta: { ...delta, tool_calls: calls.map(indexed(choiceIndexOf(choice))) } }
    })
  })
}
