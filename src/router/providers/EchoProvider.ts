import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { type ChatPart, makePart, type Usage } from "../protocol/ChatPart.ts"
import { textOf } from "../protocol/ChatRequest.ts"
import { type Call, type Provider, ProviderFailure } from "./Provider.ts"

/** How a shell of this provider behaves. Words count from the first. */
interface Behaviour {
  readonly pause?: Duration.DurationInput
  readonly failsAfter?: number
  readonly stallsAfter?: number
  readonly busy?: true
  /** Repeats the question, until `max_tokens`, or so many words where the request names no limit. */
  readonly endless?: number
}

const behaviours = new Map<string, Behaviour>([
  ["echo", {}],
  ["echo-slow", { pause: "200 millis" }],
  ["echo-fails-before", { failsAfter: 0 }],
  ["echo-fails-after", { failsAfter: 2 }],
  ["echo-hangs", { stallsAfter: 0 }],
  ["echo-stalls", { stallsAfter: 2 }],
  ["echo-busy", { busy: true }],
  ["echo-endless", { endless: 4_096 }]
])

/** Words in a chunk of the endless shell, which is to send more than a client can read. */
const burst = 64

const countWords = (text: string): number => {
  const word = /\S+/g
  let count = 0
  while (word.test(text)) count += 1
  return count
}

/** The first words, each with the space before it. One pattern for both would backtrack for hours in a megabyte of spaces. */
const wordsOf = (text: string, limit: number): ReadonlyArray<string> => {
  const word = /\S+/g
  const words: Array<string> = []
  for (let from = 0; words.length < limit && word.test(text); from = word.lastIndex) {
    words.push(text.slice(from, word.lastIndex))
  }
  return words
}

const question = ({ request }: Call): string => {
  const asked = request.messages.findLast(({ role }) => role === "user") ?? request.messages.at(-1)
  return asked === undefined ? "" : (textOf(asked) ?? "")
}

const piece = (delta: Readonly<Record<string, unknown>>, finishReason: string | null = null): ChatPart =>
  makePart("delta", [{ index: 0, delta, finish_reason: finishReason, logprobs: null }])

const usageOf = (call: Call, completionTokens: number): Usage => {
  const promptTokens = call.request.messages.reduce((sum, one) => sum + countWords(textOf(one) ?? ""), 0)
  const raw = {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens
  }
  return { promptTokens, completionTokens, raw }
}

/** Answers with the last question, offline. The model's name selects a behaviour, so that failures can be tested without a network. */
export const makeEchoProvider = (name: string): Provider => {
  const failure = (kind: ProviderFailure["kind"], reason: string) =>
    new ProviderFailure({ provider: name, kind, reason })

  /** The words of the answer to a call, and the behaviour. */
  const plan = (call: Call) => {
    const behaviour = behaviours.get(call.upstreamModel)
    if (behaviour === undefined) {
      const known = [...behaviours.keys()].join(", ")
      return Either.left(failure("misconfigured", `does not have a model of this name; it has ${known}`))
    }
    if (behaviour.busy === true)
      return Either.left(failure("busy", "asks for fewer requests, as this model always does"))
    const asked = question(call)
    const limit = call.request.maxTokens ?? behaviour.endless ?? Number.POSITIVE_INFINITY
    const said = wordsOf(asked, limit)
    const isEndless = behaviour.endless !== undefined && said.length > 0
    const length = isEndless ? limit : said.length
    const word = (i: number): string => {
      const text = said[i % said.length] ?? ""
      return i > 0 && i % said.length === 0 && !/^\s/.test(text) ? ` ${text}` : text
    }
    const finishReason = behaviour.endless !== undefined || countWords(asked) > limit ? "length" : "stop"
    const pause = Duration.decode(behaviour.pause ?? 0)
    return Either.right({ behaviour, isEndless, length, word, finishReason, pause, usage: usageOf(call, length) })
  }

  const fails = failure("broken", "failed, as this model always does")

  return {
    stream: (call) =>
      Stream.unwrap(
        Effect.map(plan(call), ({ behaviour, finishReason, isEndless, length, pause, usage, word }) => {
          const next = (i: number): Effect.Effect<readonly [ChatPart, number] | undefined, ProviderFailure> => {
            if (i === behaviour.failsAfter) return fails
            if (i === behaviour.stallsAfter) return Effect.never
            if (i >= length) return Effect.succeed(undefined)
            const step = Effect.succeed([piece({ content: word(i) }), i + 1] as const)
            return Duration.toMillis(pause) === 0 ? step : Effect.delay(step, pause)
          }
          const isSilent = behaviour.failsAfter === 0 || behaviour.stallsAfter === 0
          const opening = isSilent ? Stream.empty : Stream.succeed(piece({ role: "assistant", content: "" }))
          const words = Stream.unfoldEffect(0, (i) => Effect.map(next(i), Option.fromNullable))
          const last = makePart("delta", [], usage)
          const spoken = isEndless ? Stream.rechunk(words, burst) : words
          return Stream.concat(opening, Stream.concat(spoken, Stream.make(piece({}, finishReason), last)))
        })
      ),
    // In one step: a step for each word would block the process for seconds where the question is long.
    complete: (call) =>
      Effect.gen(function* () {
        const { behaviour, finishReason, isEndless, length, pause, usage, word } = yield* plan(call)
        if (isEndless) return yield* failure("rejected", "answers only as a stream: ask it with stream: true")
        if (behaviour.failsAfter !== undefined && behaviour.failsAfter <= length) return yield* fails
        if (behaviour.stallsAfter !== undefined && behaviour.stallsAfter <= length) return yield* Effect.never
        if (Duration.toMillis(pause) > 0) yield* Effect.sleep(Duration.times(pause, length))
        const text = Array.from({ length }, (_, i) => word(i)).join("")
        const message = { role: "assistant", content: text, refusal: null }
        const choices = [{ index: 0, message, finish_reason: finishReason, logprobs: null }]
        return makePart("message", choices, usage)
      })
  }
}
