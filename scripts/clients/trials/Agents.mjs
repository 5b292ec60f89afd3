import { Agent, OpenAIChatCompletionsModel, run, setTracingDisabled, tool } from "@openai/agents"
import OpenAI from "openai-6"
import { z } from "zod"
import { errorOf, openAiFailure } from "./Common.mjs"

setTracingDisabled(true)

/** OpenAI's agents in the mode of chat completions: they call their tools, and ask again with the results. */
export const connect = async (_, { apiKey, baseURL }) => {
  const agent = (model, key = apiKey, tools = []) => {
    const client = new OpenAI({ baseURL, apiKey: key, maxRetries: 0 })
    return new Agent({ name: "trial", model: new OpenAIChatCompletionsModel(client, model), tools })
  }
  return {
    whole: async (model) => (await run(agent(model), "hi")).finalOutput,
    stream: async (model) => {
      const answer = await run(agent(model), "hi", { stream: true })
      const pieces = []
      for await (const piece of answer.toTextStream()) pieces.push(piece)
      await answer.completed
      return pieces
    },
    tools: async (model, stream) => {
      const calls = []
      const weather = tool({
        name: "weather",
        description: "The weather of a city",
        parameters: z.object({ city: z.string() }),
        execute: async (args) => {
          calls.push(["weather", args])
          return "sun"
        }
      })
      const asked = agent(model, apiKey, [weather])
      const answer = stream ? await run(asked, "hi", { stream: true }) : await run(asked, "hi")
      if (stream) await answer.completed
      if (answer.finalOutput !== "done") throw new Error(`the agent ends with ${answer.finalOutput}`)
      return calls
    },
    failure: async (model, key) => openAiFailure(await errorOf(() => run(agent(model, key), "hi"))),
    abort: async (model) => {
      const controller = new AbortController()
      const answer = await run(agent(model), "hi", { stream: true, signal: controller.signal })
      try {
        for await (const _ of answer.toTextStream()) controller.abort()
      } catch (error) {
        if (!controller.signal.aborted) throw error
      }
    }
  }
}
