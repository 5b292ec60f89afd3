import * as Predicate from "effect/Predicate"
import { type ChatPart, measureContent } from "./ChatPart.ts"

type Fields = Record<PropertyKey, unknown>

/** Texts that come once, or the same in each piece. */
const once: ReadonlySet<string> = new Set(["role", "id", "type"])

export interface WholeAnswer {
  readonly add: (part: Pick<ChatPart, "choices">) => void
  /** The choices so far, each with its `message`, in the order of their index. */
  readonly choices: () => ReadonlyArray<Readonly<Record<string, unknown>>>
}

interface BegunChoice {
  readonly message: Fields
  readonly rest: Fields
  /** Whether a `delta` had content. A `message` beside it has the same text again, all of it so far: Perplexity sends both. */
  isDelta: boolean
}

const newChoice = (): BegunChoice => ({ message: { role: "assistant", content: null }, rest: {}, isDelta: false })

/** Characters that a member costs besides its key: quotes, colon and comma. */
const memberCost = 4

/** Puts the parts of an answer together, in OpenAI's form. It keeps about `maximumLength` characters. */
export const makeWholeAnswer = (maximumLength: number): WholeAnswer => {
  const begun = new Map<number, BegunChoice>()
  let left = maximumLength

  const cut = (text: string): string => {
    const kept = text.length > left ? text.slice(0, Math.max(0, left)) : text
    left -= kept.length
    return kept
  }

  const mergeCalls = (into: Array<unknown>, pieces: ReadonlyArray<unknown>) => {
    for (const piece of pieces) {
      if (!Predicate.isRecord(piece)) continue
      const { index, ...fields } = piece
      const place = typeof index === "number" ? index : into.length
      // A call beyond those that are kept.
      if (place > into.length || left <= 0) continue
      const known = into[place]
      if (known === undefined) left -= memberCost
      const call: Fields = Predicate.isRecord(known) ? known : {}
      into[place] = call
      merge(call, fields)
    }
  }

  const mergeList = (into: Array<unknown>, items: ReadonlyArray<unknown>) => {
    for (const item of items) {
      left -= JSON.stringify(item)?.length ?? 0
      if (left < 0) return
      into.push(item)
    }
  }

  const merge = (into: Fields, from: Fields): void => {
    for (const name of Object.keys(from)) {
      const value = from[name]
      const before = into[name]
      const isNew = !Object.hasOwn(into, name)
      // A provider can fill the memory with keys too.
      if (isNew && left <= 0) continue
      if (isNew) left -= name.length + memberCost
      if (typeof value === "string") {
        if (!once.has(name)) into[name] = typeof before === "string" ? before + cut(value) : cut(value)
        else if (value !== before && left > 0) into[name] = cut(value)
      } else if (Array.isArray(value)) {
        const list: Array<unknown> = Array.isArray(before) ? before : []
        into[name] = list
        if (name === "tool_calls") mergeCalls(list, value)
        else mergeList(list, value)
      } else if (Predicate.isRecord(value)) {
        const fields: Fields = Predicate.isRecord(before) ? before : {}
        into[name] = fields
        merge(fields, value)
      } else if (value !== null || before === undefined) into[name] = value
    }
  }

  const choiceOf = (index: number): BegunChoice => {
    const choice = begun.get(index) ?? newChoice()
    begun.set(index, choice)
    return choice
  }

  return {
    add: ({ choices }) => {
      for (const { delta, finish_reason, index, message, ...rest } of choices) {
        const choice = choiceOf(typeof index === "number" ? index : 0)
        choice.isDelta ||= measureContent(delta).hasContent
        const said = choice.isDelta ? delta : (message ?? delta)
        if (Predicate.isRecord(said)) merge(choice.message, said)
        merge(choice.rest, rest)
        if (typeof finish_reason === "string") choice.rest["finish_reason"] = finish_reason
      }
    },
    choices: () =>
      [...begun]
        .sort(([a], [b]) => a - b)
        .map(([index, { message, rest }]) => ({ index, message, finish_reason: null, ...rest }))
  }
}
