import * as Predicate from "effect/Predicate"
import { type ChatPart, choiceIndexOf } from "./ChatPart.ts"

interface LatestCall {
  readonly index: number
  readonly id: unknown
}

/** Whether this is a new call. A part of the latest call has the same id, or neither id nor name. */
const begins = (call: Readonly<Record<string, unknown>>, latest: LatestCall): boolean => {
  const { function: called, id } = call
  if (typeof id === "string" && id !== "") return id !== latest.id
  return Predicate.isReadonlyRecord(called) && typeof called["name"] === "string" && called["name"] !== ""
}

/**
 * Adds the `index` of tool calls in a stream where the provider leaves it out, as Gemini does. OpenAI's clients assemble a call by
 * it, and lose a call without one silently.
 */
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
      const delta = Predicate.isReadonlyRecord(choice) ? choice["delta"] : undefined
      if (
        !Predicate.isReadonlyRecord(choice) ||
        !Predicate.isReadonlyRecord(delta) ||
        !Array.isArray(delta["tool_calls"])
      )
        return choice
      const calls: ReadonlyArray<unknown> = delta["tool_calls"]
      return { ...choice, delta: { ...delta, tool_calls: calls.map(indexed(choiceIndexOf(choice))) } }
    })
  })
}
