import * as Predicate from "effect/Predicate"
import { type Role, roles } from "../../contracts/router/ChatSchemas.ts"

export interface Message {
  readonly role: Role
  /** As the client sent it: the provider gets it unchanged. */
  readonly raw: Readonly<Record<string, unknown>>
}

export interface Problem {
  /** The field, as OpenAI's errors name it: `messages[2].content`. */
  readonly param: string | null
  readonly problem: string
}

/** Messages of one request: each becomes a row. */
export const maximumMessages = 1_000

const partProblem = (part: unknown): string | undefined => {
  if (!Predicate.isReadonlyRecord(part)) return "must be objects"
  if (typeof part["type"] !== "string") return 'must have a "type"'
  if (part["type"] === "text" && typeof part["text"] !== "string") return 'of type "text" must have a "text"'
  return undefined
}

const contentProblem = (message: Readonly<Record<string, unknown>>): string | undefined => {
  const { content } = message
  if (typeof content === "string") return undefined
  if (content === null || content === undefined) {
    // An assistant that called tools has no content.
    return message["role"] === "assistant" ? undefined : "is missing"
  }
  if (!Array.isArray(content)) return "must be a text or a list of parts"
  for (const part of content) {
    const problem = partProblem(part)
    if (problem !== undefined) return `: its parts ${problem}`
  }
  return undefined
}

/** Reads `messages`; notes the first problem of each, up to ten. */
export const parseMessages = (given: unknown, problems: Array<Problem>): ReadonlyArray<Message> => {
  const refuse = (param: string, problem: string) => {
    if (problems.length < 10) problems.push({ param, problem: `"${param}" ${problem}` })
  }
  if (!Array.isArray(given)) {
    refuse("messages", given === undefined ? "is missing" : "must be a list")
    return []
  }
  if (given.length === 0) refuse("messages", "must not be empty")
  if (given.length > maximumMessages) {
    refuse("messages", `has ${given.length} entries; at most ${maximumMessages} are accepted`)
    return []
  }
  return given.flatMap((raw: unknown, i): ReadonlyArray<Message> => {
    const place = `messages[${i}]`
    if (!Predicate.isReadonlyRecord(raw)) {
      refuse(place, "must be an object")
      return []
    }
    const role = roles.find((one) => one === raw["role"])
    if (role === undefined) {
      refuse(`${place}.role`, `must be one of ${roles.join(", ")}`)
      return []
    }
    const problem = contentProblem(raw)
    if (problem !== undefined) refuse(`${place}.content`, problem)
    return [{ role, raw }]
  })
}

/** The text of a message: its content, or the text parts of it. Null where there is no text. */
export const textOf = ({ raw }: Message): string | null => {
  const { content } = raw
  if (typeof content === "string") return content
  if (!Array.isArray(content)) return null
  const texts = content.flatMap((part: unknown) =>
    Predicate.isReadonlyRecord(part) && part["type"] === "text" && typeof part["text"] === "string"
      ? [part["text"]]
      : []
  )
  return texts.length === 0 ? null : texts.join("\n")
}
