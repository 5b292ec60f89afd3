import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { ChatPart, Usage } from "./ChatAnswer.ts"
import { textOf } from "./ChatMessages.ts"
import { defaults } from "./ChatRequest.ts"
import type { Call, Provider } from "./Provider.ts"
import { ProviderFailure } from "./ProviderFailure.ts"

/** How a shell of this provider behaves. Words are counted from the first. */
interface Behaviour {
  readonly pause?: Duration.DurationInput
  readonly failsAfter?: number
  readonly stallsAfter?: number
  readonly busy?: true
  /** Says the question over and over, until `max_tokens`. */
  readonly endless?: true
}

const behaviours = new Map<string, Behaviour>([
  ["echo", {}],
  ["echo-slow", { pause: "200 millis" }],
  ["echo-fails-before", { failsAfter: 0 }],
  ["echo-fails-after", { failsAfter: 2 }],
  ["echo-hangs", { stallsAfter: 0 }],
  ["echo-stalls", { stallsAfter: 2 }],
  ["echo-busy", { busy: true }],
  ["echo-endless", { endless: true }]
])

/** Words that the endless one says at a time: it is there to be more than a client can read. */
const burst = 64

/** Words, each with the space before it. One pattern for both would try each space anew where no word follows: hours for a megabyte. */
const wordsOf = (text: string): ReadonlyArray<string> => {
  let from = 0
  return Array.from(text.matchAll(/\S+/g), ({ 0: word, index }) => {
    const found = text.slice(from, index + word.length)
    from = index + word.length
    return found
  })
}

const question = ({ request }: Call): string => {
  const asked = request.messages.findLast(({ role }) => role === "user") ?? request.messages.at(-1)
  return asked === undefined ? "" : (textOf(asked) ?? "")
}

const limitOf = ({ request: { passed } }: Call): number => {
  const limit = passed["max_completion_tokens"] ?? passed["max_tokens"]
  return typeof limit === "number" ? limit : defaults.maxTokens
}

const piece = (delta: Readonly<Record<string, unknown>>, finishReason: string | null = null): ChatPart => ({
  choices: [{ index: 0, delta, finish_reason: finishReason, logprobs: null }],
  usage: undefined,
  text: typeof delta["content"] === "string" ? delta["content"] : "",
  finishReason: finishReason ?? undefined
})

const usageOf = (call: Call, completionTokens: number): Usage => {
  const promptTokens = call.request.messages.reduce((sum, one) => sum + wordsOf(textOf(one) ?? "").length, 0)
  const raw = {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens
  }
  return { promptTokens, completionTokens, raw }
}

/**
 * Answers with the last question, a word at a time: offline, and the same each time. The model's name says how it behaves,
 * so that failures can be seen and tested without a network.
 */
export const makeEchoProvider = (name: string): Provider => {
  const failure = (kind: ProviderFailure["kind"], reason: string) =>
    new ProviderFailure({ provider: name, kind, reason })

  const stream = (call: Call): Stream.Stream<ChatPart, ProviderFailure> => {
    const behaviour = behaviours.get(call.upstreamModel)
    if (behaviour === undefined) {
      const known = [...behaviours.keys()].join(", ")
      return Stream.fail(failure("misconfigured", `has no model of this name; it has ${known}`))
    }
    if (behaviour.busy === true) return Stream.fail(failure("busy", "asks for fewer requests, as it was told to"))
    const said = wordsOf(question(call))
    const limit = limitOf(call)
    const length = behaviour.endless === true && said.length > 0 ? limit : Math.min(said.length, limit)
    const word = (i: number): string => {
      const text = said[i % said.length] ?? ""
      return i > 0 && i % said.length === 0 && !/^\s/.test(text) ? ` ${text}` : text
    }
    const pause = Duration.decode(behaviour.pause ?? 0)
    const next = (i: number): Effect.Effect<readonly [ChatPart, number] | undefined, ProviderFailure> => {
      if (i === behaviour.failsAfter) return Effect.fail(failure("broken", "failed, as it was told to"))
      if (i === behaviour.stallsAfter) return Effect.never
      if (i >= length) return Effect.succeed(undefined)
      const step = Effect.succeed([piece({ content: word(i) }), i + 1] as const)
      return Duration.toMillis(pause) === 0 ? step : Effect.delay(step, pause)
    }
    const isSilent = behaviour.failsAfter === 0 || behaviour.stallsAfter === 0
    const opening = isSilent ? Stream.empty : Stream.succeed(piece({ role: "assistant", content: "" }))
    const words = Stream.unfoldEffect(0, (i) => Effect.map(next(i), Option.fromNullable))
    const end = Stream.make(piece({}, length < said.length || behaviour.endless === true ? "length" : "stop"), {
      choices: [],
      usage: usageOf(call, length),
      text: "",
      finishReason: undefined
    })
    const spoken = behaviour.endless === true ? Stream.rechunk(words, burst) : words
    return Stream.concat(opening, Stream.concat(spoken, end))
  }

  return {
    stream,
    complete: (call) =>
      Effect.map(Stream.runCollect(stream(call)), (pieces): ChatPart => {
        const parts = Chunk.toReadonlyArray(pieces)
        const text = parts.map((part) => part.text).join("")
        const finishReason = parts.find((part) => part.finishReason !== undefined)?.finishReason
        return {
          choices: [
            {
              index: 0,
              message: { role: "assistant", content: text, refusal: null },
              finish_reason: finishReason ?? "stop",
              logprobs: null
            }
          ],
          usage: parts.at(-1)?.usage,
          text,
          finishReason
        }
      })
  }
}
