import { concat } from "@langchain/core/utils/stream"
import { ChatOpenAI } from "@langchain/openai"
import { errorOf, openAiFailure, weather } from "./Common.mjs"

/** LangChain's chat model for OpenAI. Its errors are those of OpenAI's client, which it calls. */
export const connect = async (_, { apiKey, baseURL }) => {
  const chat = (model, key = apiKey) =>
    new ChatOpenAI({ model, apiKey: key, configuration: { baseURL }, maxRetries: 0, useResponsesApi: false })
  return {
    whole: async (model) => (await chat(model).invoke("hi")).content,
    stream: async (model) => {
      const pieces = []
      for await (const { content } of await chat(model).stream("hi")) pieces.push(content)
      return pieces
    },
    tools: async (model, stream) => {
      const bound = chat(model).bindTools([weather])
      let answer
      if (stream) {
        for await (const piece of await bound.stream("hi"))
          answer = answer === undefined ? piece : concat(answer, piece)
      } else answer = await bound.invoke("hi")
      return answer.tool_calls.map(({ args, name }) => [name, args])
    },
    failure: async (model, key) => openAiFailure(await errorOf(() => chat(model, key).invoke("hi"))),
    abort: async (model) => {
      const controller = new AbortController()
      try {
        for await (const _ of await chat(model).stream("hi", { signal: controller.signal })) controller.abort()
      } catch (error) {
        if (!controller.signal.aborted) throw error
      }
    }
  }
}
