import { errorOf, weather } from "./Common.mjs"

const providers = { "ai-5": "@ai-sdk/openai-compatible-1", "ai-7": "@ai-sdk/openai-compatible-3" }

/** Vercel's AI SDK, with its provider for servers like OpenAI's. */
export const connect = async (package_, { apiKey, baseURL }) => {
  const { APICallError, generateText, jsonSchema, streamText, tool } = await import(package_)
  const { createOpenAICompatible } = await import(providers[package_])
  const asked = (model, key = apiKey) => ({
    model: createOpenAICompatible({ name: "gravitas", baseURL, apiKey: key, includeUsage: true })(model),
    prompt: "hi",
    maxRetries: 0
  })
  const { description, parameters } = weather.function
  const tools = { weather: tool({ description, inputSchema: jsonSchema(parameters) }) }
  const streamed = (options) => {
    let failure
    const answer = streamText({
      ...options,
      onError: ({ error }) => {
        failure = error
      }
    })
    return { answer, check: () => (failure === undefined ? undefined : Promise.reject(failure)) }
  }
  return {
    whole: async (model) => (await generateText(asked(model))).text,
    stream: async (model) => {
      const { answer, check } = streamed(asked(model))
      const pieces = []
      for await (const piece of answer.textStream) pieces.push(piece)
      await check()
      return pieces
    },
    tools: async (model, stream) => {
      const body = { ...asked(model), tools }
      if (!stream) return (await generateText(body)).toolCalls.map(({ input, toolName }) => [toolName, input])
      const { answer, check } = streamed(body)
      await answer.consumeStream()
      await check()
      return (await answer.toolCalls).map(({ input, toolName }) => [toolName, input])
    },
    failure: async (model, key) => {
      const error = await errorOf(() => generateText(asked(model, key)))
      return { status: error.statusCode, name: error.name, isOwnType: APICallError.isInstance(error) }
    },
    abort: async (model) => {
      const controller = new AbortController()
      const { answer } = streamed({ ...asked(model), abortSignal: controller.signal })
      for await (const _ of answer.textStream) controller.abort()
    }
  }
}
