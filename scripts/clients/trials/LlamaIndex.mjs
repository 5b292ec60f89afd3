import { tool } from "@llamaindex/core/tools"
import { OpenAI } from "@llamaindex/openai"
import { z } from "zod"
import { errorOf, messages, openAiFailure } from "./Common.mjs"

const tools = [
  tool({
    name: "weather",
    description: "The weather of a city",
    parameters: z.object({ city: z.string() }),
    execute: () => "sun"
  })
]

const argumentsOf = (input) => (typeof input === "string" ? JSON.parse(input) : input)
const callsOf = (options) => (options?.toolCall ?? []).map(({ input, name }) => [name, argumentsOf(input)])

/** LlamaIndex's model for OpenAI. Its errors are those of OpenAI's client, which it calls. */
export const connect = async (_, { apiKey, baseURL }) => {
  const chat = (model, key = apiKey) => new OpenAI({ model, apiKey: key, baseURL, maxRetries: 0 })
  return {
    whole: async (model) => (await chat(model).chat({ messages })).message.content,
    stream: async (model) => {
      const pieces = []
      for await (const { delta } of await chat(model).chat({ messages, stream: true })) pieces.push(delta)
      return pieces
    },
    tools: async (model, stream) => {
      if (!stream) return callsOf((await chat(model).chat({ messages, tools })).message.options)
      // A piece has each call as far as it came; the last state of a call counts.
      const calls = new Map()
      for await (const { options } of await chat(model).chat({ messages, tools, stream: true })) {
        for (const call of options?.toolCall ?? []) calls.set(call.id, call)
      }
      return callsOf({ toolCall: [...calls.values()] })
    },
    failure: async (model, key) => openAiFailure(await errorOf(() => chat(model, key).chat({ messages }))),
    abort: async (model) => {
      // It has no signal: leaving the loop ends the request.
      for await (const _ of await chat(model).chat({ messages, stream: true })) break
    }
  }
}
