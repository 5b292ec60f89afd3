import * as Either from "effect/Either"
import * as Predicate from "effect/Predicate"
import {
  choiceLimits,
  defaults,
  type Role,
  roles,
  type Tier,
  tiers,
  tokenLimits
} from "../../contracts/router/ChatSchemas.ts"
import { isMisspelling } from "../../domain/Misspelling.ts"
import { hasControlCharacter, isDeeperThan, isLongerThan } from "../../domain/Text.ts"

export interface Message {
  readonly role: Role
  /** As the client sent it: the provider gets it unchanged. */
  readonly raw: Readonly<Record<string, unknown>>
}

interface Problem {
  /** The field, as OpenAI's errors name it: `messages[2].content`. */
  readonly param: string | null
  readonly problem: string
}

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
const parseMessages = (given: unknown, maximumMessages: number, problems: Array<Problem>): ReadonlyArray<Message> => {
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

export interface ChatRequest {
  /** A shell's name, a ghost's, or `auto`. */
  readonly model: string
  /** Never empty; in the order of the request. */
  readonly messages: ReadonlyArray<Message>
  readonly stream: boolean
  /** The client asked for the usage as the last chunk of its stream. */
  readonly includeUsage: boolean
  /** 0 to 10. */
  readonly complexity: number
  readonly priority: number
  readonly forceTier: Tier | undefined
  /** The limit of the answer, under either of its two names; undefined: the client names none, and the provider gets none. */
  readonly maxTokens: number | undefined
  /** Choices of the answer, which OpenAI calls `n`: 1 to 128. */
  readonly choices: number
  /** The body as the client sent it: providers get its messages and its other fields byte for byte. */
  readonly text: string
}

interface InvalidChatRequest extends Problem {
  /** As far as it could be read. */
  readonly model: string | null
}

/** Levels of objects and arrays; tools hold JSON schemas, which nest. */
export const maximumDepth = 64

const maximumModelLength = 200

/** Fields that this program reads, and sets itself where a provider needs them. All others are for the provider. */
export const handledFields: ReadonlySet<string> = new Set([
  "complexity",
  "force_tier",
  "max_completion_tokens",
  "max_tokens",
  "messages",
  "model",
  "priority",
  "stream",
  "stream_options"
])

const modelProblem = (model: unknown): string | undefined => {
  if (typeof model !== "string") return model === undefined ? "it is missing" : "it must be a text"
  if (model === "") return "it must not be empty"
  if (isLongerThan(model, maximumModelLength)) return `it has more than ${maximumModelLength} characters`
  if (!model.isWellFormed() || hasControlCharacter(model))
    return "it must be well-formed text without control characters"
  return undefined
}

type Body = Readonly<Record<string, unknown>>

/** Whether a field is left out. Clients with optional fields also send null. */
const isLeftOut = (value: unknown): boolean => value === undefined || value === null

const parseTruth = (body: Body, field: string, problems: Array<Problem>): boolean => {
  const value = body[field]
  if (isLeftOut(value)) return false
  if (typeof value !== "boolean") problems.push({ param: field, problem: `"${field}" must be true or false` })
  return value === true
}

/** Bounds are inclusive. */
const parseNumber = <const Standard extends number | undefined>(
  body: Body,
  field: string,
  rules: { readonly min: number; readonly max: number; readonly standard: Standard; readonly integer?: boolean },
  problems: Array<Problem>
): number | Standard => {
  const value = body[field]
  if (isLeftOut(value)) return rules.standard
  const fits = typeof value === "number" && value >= rules.min && value <= rules.max
  if (fits && (rules.integer !== true || Number.isInteger(value))) return value
  const what = rules.integer === true ? "an integer" : "a number"
  problems.push({ param: field, problem: `"${field}" must be ${what} from ${rules.min} to ${rules.max}` })
  return rules.standard
}

const parseTier = (value: unknown, problems: Array<Problem>): Tier | undefined => {
  if (isLeftOut(value)) return undefined
  const tier = tiers.find((one) => typeof value === "string" && one === value.toUpperCase())
  if (tier === undefined)
    problems.push({ param: "force_tier", problem: `"force_tier" must be one of ${tiers.join(", ")}` })
  return tier
}

/** OpenAI's newer name of `max_tokens` is `max_completion_tokens`. */
const maxTokensOf = (body: Body, problems: Array<Problem>): number | undefined => {
  const field = isLeftOut(body["max_completion_tokens"]) ? "max_tokens" : "max_completion_tokens"
  return parseNumber(body, field, { ...tokenLimits, standard: undefined }, problems)
}

const includesUsage = (body: Body, problems: Array<Problem>): boolean => {
  const options = body["stream_options"]
  if (isLeftOut(options)) return false
  if (Predicate.isReadonlyRecord(options)) return parseTruth(options, "include_usage", problems)
  problems.push({ param: "stream_options", problem: '"stream_options" must be an object' })
  return false
}

/** Fields that OpenAI does not have: a client library cannot check their names, and without one of them another shell may answer. */
const ownFields = ["complexity", "priority", "force_tier"] as const

const checkOwnFields = (body: Body, problems: Array<Problem>): void => {
  for (const own of ownFields) {
    const misspelt = isLeftOut(body[own]) ? Object.keys(body).find((key) => isMisspelling(key, own)) : undefined
    if (misspelt !== undefined) {
      const problem = `unknown field ${JSON.stringify(misspelt)}; it is written "${own}"`
      problems.push({ param: misspelt, problem })
    }
  }
}

export interface ChatRequestText {
  /** The body's text. */
  readonly text: string
  /** Messages of one request: each becomes a row of the history. */
  readonly maximumMessages: number
}

/**
 * Reads the body of `POST /v1/chat/completions`: OpenAI's fields and `complexity`, `priority`, `force_tier`. It is written by hand, beside the
 * schema of the contract, because OpenAI's errors name a field as `messages[2].content`; a test compares the two.
 */
export const parseChatRequest = (
  body: unknown,
  { maximumMessages, text }: ChatRequestText
): Either.Either<ChatRequest, InvalidChatRequest> => {
  const refused = (param: string | null, problem: string, model: string | null = null) =>
    Either.left({ param, problem, model })
  if (!Predicate.isReadonlyRecord(body)) return refused(null, "the request body must be a JSON object")
  if (isDeeperThan(body, maximumDepth)) return refused(null, `the request is nested deeper than ${maximumDepth} levels`)
  const { model } = body
  const problems: Array<Problem> = []
  const wrongModel = modelProblem(model)
  if (wrongModel !== undefined) problems.push({ param: "model", problem: `"model": ${wrongModel}` })
  const messages = parseMessages(body["messages"], maximumMessages, problems)
  const stream = parseTruth(body, "stream", problems)
  const includeUsage = includesUsage(body, problems)
  const complexity = parseNumber(body, "complexity", { min: 0, max: 10, standard: defaults.complexity }, problems)
  const priority = parseNumber(body, "priority", { min: 0, max: 1_000, standard: defaults.priority }, problems)
  const forceTier = parseTier(body["force_tier"], problems)
  const maxTokens = maxTokensOf(body, problems)
  const choices = parseNumber(body, "n", { ...choiceLimits, standard: defaults.n }, problems)
  checkOwnFields(body, problems)
  const name = wrongModel === undefined ? String(model) : null
  const [first] = problems
  if (first !== undefined) return refused(first.param, problems.map(({ problem }) => problem).join("; "), name)
  return Either.right({
    model: String(model),
    messages,
    stream,
    includeUsage,
    complexity,
    priority,
    forceTier,
    maxTokens,
    choices,
    text
  })
}
