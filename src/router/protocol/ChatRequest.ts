import * as Either from "effect/Either"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { defaults, type Tier, tiers, tokenLimits } from "../../contracts/router/ChatSchemas.ts"
import { isDeeperThan } from "../../domain/Text.ts"
import { type Message, type Problem, parseMessages } from "./ChatMessages.ts"

/** A chat completion that is asked for. */
export interface ChatRequest {
  readonly model: string
  /** Never empty; in the order of the request. */
  readonly messages: ReadonlyArray<Message>
  readonly stream: boolean
  /** The client asked for the usage as the last chunk of its stream. */
  readonly includeUsage: boolean
  readonly complexity: number
  readonly priority: number
  readonly forceTier: Tier | undefined
  /** The limit of the answer, under either of its two names. */
  readonly maxTokens: number
  /** Further fields for the provider, besides `model`, `messages`, `stream` and the limit of tokens. */
  readonly passed: Readonly<Record<string, unknown>>
}

/** The request cannot be routed; `param` is the field, as OpenAI's errors name it. */
export class InvalidChatRequest extends Schema.TaggedError<InvalidChatRequest>()("InvalidChatRequest", {
  param: Schema.NullOr(Schema.String),
  problem: Schema.String,
  /** As far as it could be read. */
  model: Schema.NullOr(Schema.String)
}) {
  override get message(): string {
    return this.problem
  }
}

/** Bytes of a request's body: conversations are longer than the bodies of other endpoints. */
export const maximumBodyBytes = 1024 * 1024

/** Levels of objects and arrays; tools hold JSON schemas, which nest. */
export const maximumDepth = 64

export const maximumModelLength = 200

/** Fields of OpenAI's contract that mean the same to every provider. Other fields are dropped. */
const passedFields = [
  "frequency_penalty",
  "logit_bias",
  "logprobs",
  "n",
  "parallel_tool_calls",
  "presence_penalty",
  "reasoning_effort",
  "response_format",
  "seed",
  "stop",
  "temperature",
  "tool_choice",
  "tools",
  "top_logprobs",
  "top_p",
  "user"
] as const

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
const controlCharacter = /[\u0000-\u001f\u007f-\u009f]/

const modelProblem = (model: unknown): string | undefined => {
  if (typeof model !== "string") return model === undefined ? "it is missing" : "it must be a text"
  if (model === "") return "it must not be empty"
  if (model.length > maximumModelLength) return `it has more than ${maximumModelLength} characters`
  if (!model.isWellFormed() || controlCharacter.test(model))
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
const parseNumber = (
  body: Body,
  field: string,
  rules: { readonly min: number; readonly max: number; readonly standard: number; readonly integer?: boolean },
  problems: Array<Problem>
): number => {
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
const maxTokensOf = (body: Readonly<Record<string, unknown>>, problems: Array<Problem>): number => {
  const field = isLeftOut(body["max_completion_tokens"]) ? "max_tokens" : "max_completion_tokens"
  return parseNumber(body, field, { ...tokenLimits, standard: defaults.maxTokens }, problems)
}

const includesUsage = (body: Readonly<Record<string, unknown>>, problems: Array<Problem>): boolean => {
  const options = body["stream_options"]
  if (options === undefined || options === null) return false
  if (Predicate.isReadonlyRecord(options)) return parseTruth(options, "include_usage", problems)
  problems.push({ param: "stream_options", problem: '"stream_options" must be an object' })
  return false
}

/**
 * Reads the body of `POST /v1/chat/completions`: OpenAI's fields and `complexity`, `priority`, `force_tier`. It is written by hand, beside the
 * schema of the contract, because OpenAI's errors name a field as `messages[2].content`; a test compares the two.
 */
export const parseChatRequest = (body: unknown): Either.Either<ChatRequest, InvalidChatRequest> => {
  const refused = (param: string | null, problem: string, model: string | null = null) =>
    Either.left(new InvalidChatRequest({ param, problem, model }))
  if (!Predicate.isReadonlyRecord(body)) return refused(null, "the request body must be a JSON object")
  if (isDeeperThan(body, maximumDepth)) return refused(null, `the request is nested deeper than ${maximumDepth} levels`)
  const { model } = body
  const problems: Array<Problem> = []
  const wrongModel = modelProblem(model)
  if (wrongModel !== undefined) problems.push({ param: "model", problem: `"model": ${wrongModel}` })
  const messages = parseMessages(body["messages"], problems)
  const stream = parseTruth(body, "stream", problems)
  const includeUsage = includesUsage(body, problems)
  const complexity = parseNumber(body, "complexity", { min: 0, max: 10, standard: defaults.complexity }, problems)
  const priority = parseNumber(body, "priority", { min: 0, max: 1_000, standard: defaults.priority }, problems)
  const forceTier = parseTier(body["force_tier"], problems)
  const maxTokens = maxTokensOf(body, problems)
  const name = wrongModel === undefined ? String(model) : null
  const [first] = problems
  if (first !== undefined) return refused(first.param, problems.map(({ problem }) => problem).join("; "), name)
  const passed = Object.fromEntries(
    passedFields.flatMap((field) => {
      const value = body[field]
      return value === undefined || value === null ? [] : [[field, value] as const]
    })
  )
  return Either.right({
    model: String(model),
    messages,
    stream,
    includeUsage,
    complexity,
    priority,
    forceTier,
    maxTokens,
    passed
  })
}
