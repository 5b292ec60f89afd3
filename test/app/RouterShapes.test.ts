import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { messages, startedBefore } from "../support/RouterUpstream.ts"
import { answering, events, streaming } from "../support/router/Upstream.ts"

const chunk = (fields: object) =>
  JSON.stringify({ id: "x", object: "chat.completion.chunk", created: 1, model: "m", ...fields })
const piece = (delta: object, finish_reason: string | null, fields: object = {}) =>
  chunk({ choices: [{ index: 0, delta, finish_reason }], ...fields })

const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 }
const call = (id: string, city: string) => ({
  id,
  type: "function",
  function: { name: "weather", arguments: JSON.stringify({ city }) }
})
const parisian = call("call-1", "Paris")
const roman = call("call-2", "Rome")
const signature = { google: { thought_signature: "c2lnbmVk" } }

/** Streams as these providers send them: each in its own way, in which the official client would stumble over some. */
const streams: Readonly<Record<string, string>> = {
  ollama: events(
    piece({ role: "assistant", content: "", reasoning: "the user asks for two towns" }, null),
    piece({ role: "assistant", content: "", tool_calls: [{ index: 0, ...parisian }] }, null),
    piece({ role: "assistant", content: "", tool_calls: [{ index: 1, ...roman }] }, null),
    piece({ role: "assistant", content: "" }, "tool_calls"),
    chunk({ choices: [], usage }),
    "[DONE]"
  ),
  // The usage beside the last choice.
  deepinfra: `: ping\n\n${events(
    piece({ role: "assistant", tool_calls: [{ index: 0, ...parisian }] }, null, { usage: null }),
    piece(
      { tool_calls: [{ index: 1, id: roman.id, type: "function", function: { name: "weather", arguments: "" } }] },
      null
    ),
    piece({ tool_calls: [{ index: 1, function: { arguments: roman.function.arguments } }] }, null),
    piece({}, "tool_calls", { usage: { ...usage, estimated_cost: 0.0001, prompt_tokens_details: null } }),
    "[DONE]"
  )}`,
  // The usage so far in each, calls without an index, no choices where there are none.
  gemini: events(
    piece({ role: "assistant", tool_calls: [{ ...parisian, extra_content: signature }] }, null, {
      usage: { ...usage, completion_tokens: 2 }
    }),
    piece({ role: "assistant", tool_calls: [roman] }, null, { usage: { ...usage, completion_tokens: 4 } }),
    piece({ role: "assistant" }, "tool_calls", { usage }),
    chunk({ usage }),
    "[DONE]"
  ).replaceAll("\n", "\r\n")
}

/** Of a prompt that it blocks: its endpoint leaves the choices out. */
const blocked = { object: "chat.completion", created: 1, model: "m", usage: { ...usage, completion_tokens: 0 } }

const shells = ["ollama", "deepinfra", "gemini", "blocks"]
  .map((model) => `  ${model}: { tier: L1, provider: up, model: ${model} }\n`)
  .join("")

const started = startedBefore(
  (request, response) => {
    const text = streams[String(request.body["model"])]
    if (text !== undefined) return streaming(text)(request, response)
    return request.body["stream"] === true
      ? streaming(events(JSON.stringify({ ...blocked, object: "chat.completion.chunk" }), "[DONE]"))(request, response)
      : answering(200, blocked)(request, response)
  },
  {
    shells: `${shells}  spare: { tier: L1, provider: echo, model: echo }\nghosts:
  Pair: { preferred_shell: blocks, fallback_shells: [spare] }
  Free: { preferred_shell: blocks, fallback_shells: [spare], fallback_on_refusal: true }
`
  }
)

describe("a provider's own ways", () => {
  it.scopedLive(
    "the shapes of providers are one to the official client: tool calls are complete, and the usage comes once, at the end",
    () =>
      Effect.gen(function* () {
        const { client } = yield* started
        for (const model of Object.keys(streams)) {
          const stream_options = { include_usage: true }
          const whole = yield* Effect.promise(() =>
            client.chat.completions.stream({ model, messages, stream_options }).finalChatCompletion()
          )
          const calls = whole.choices[0]?.message.tool_calls
          expect(calls, model).toMatchObject([parisian, roman])
          expect(whole.usage, model).toMatchObject(usage)
          const pieces = yield* Effect.promise(async () => {
            const found = []
            const stream = await client.chat.completions.create({ model, messages, stream: true, stream_options })
            for await (const one of stream) found.push(one)
            return found
          })
          expect(pieces.pop(), model).toMatchObject({ choices: [], usage })
          for (const one of pieces) expect(one, model).toMatchObject({ choices: [{ index: 0 }], usage: null })
          const text = JSON.stringify(pieces)
          expect(text.includes(JSON.stringify(signature)), model).toBe(model === "gemini")
        }
      }),
    90_000
  )

  it.scopedLive(
    "a refusal of a blocked prompt is final unless models.yaml says so, and does not count against the provider",
    () =>
      Effect.gen(function* () {
        const { client, server } = yield* started
        const ask = (model: string, stream: boolean) =>
          Effect.promise(async () => {
            try {
              const answer = await client.chat.completions.create({ model, messages, stream })
              if ("choices" in answer) return answer.model
              let last = ""
              for await (const one of answer) last = one.model
              return last
            } catch (error) {
              return error instanceof Error && "code" in error ? error.code : error
            }
          })
        for (const stream of [false, true, false, true]) {
          expect(yield* ask("blocks", stream)).toBe("content_filter")
          expect(yield* ask("Pair", stream)).toBe("content_filter")
          expect(yield* ask("Free", stream)).toBe("spare")
        }
        expect(server.requests).toHaveLength(12)
      }),
    90_000
  )
})
