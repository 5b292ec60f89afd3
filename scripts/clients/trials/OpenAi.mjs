import { errorOf, messages, openAiFailure, weather } from "./Common.mjs"

/** OpenAI's own client; `package_` is an alias of one of its versions. */
export const connect = async (package_, { apiKey, baseURL }) => {
  const { default: OpenAI } = await import(package_)
  const client = (key = apiKey) => new OpenAI({ baseURL, apiKey: key, maxRetries: 0 })
  const { chat, beta } = client()
  // Version 4 has the helper for streams below `beta` only.
  const streamed = (body) =>
    chat.completions.stream ? chat.completions.stream(body) : beta.chat.completions.stream(body)
  return {
    models: async () => {
      const ids = []
      for await (const { id } of client().models.list()) ids.push(id)
      return ids
    },
    whole: async (model) => (await chat.completions.create({ model, messages })).choices[0].message.content,
    stream: async (model) => {
      const pieces = []
      const options = { include_usage: true }
      const chunks = await chat.completions.create({ model, messages, stream: true, stream_options: options })
      for await (const chunk of chunks) pieces.push(chunk.choices[0]?.delta.content ?? "")
      return pieces
    },
    tools: async (model, stream) => {
      const body = { model, messages, tools: [weather] }
      const answer = stream
        ? await streamed({ ...body, stream: true }).finalChatCompletion()
        : await chat.completions.create(body)
      const calls = answer.choices[0].message.tool_calls
      if (new Set(calls.map(({ id }) => id)).size !== calls.length) throw new Error("the ids are not unique")
      return calls.map(({ function: called }) => [called.name, JSON.parse(called.arguments)])
    },
    failure: async (model, key) =>
      openAiFailure(await errorOf(() => client(key).chat.completions.create({ model, messages }))),
    abort: async (model) => {
      const chunks = await chat.completions.create({ model, messages, stream: true })
      for await (const _ of chunks) chunks.controller.abort()
    }
  }
}
