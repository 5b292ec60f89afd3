/*
 * Runs the trials of one client, named on the command line, against ROUTER_URL, and prints a line of JSON for each. A process of its
 * own: some clients end the process where an answer is not what they expect.
 */

const names = {
  "openai-4": "./OpenAi.mjs",
  "openai-5": "./OpenAi.mjs",
  "openai-6": "./OpenAi.mjs",
  "ai-5": "./AiSdk.mjs",
  "ai-7": "./AiSdk.mjs",
  langchain: "./LangChain.mjs",
  agents: "./Agents.mjs",
  llamaindex: "./LlamaIndex.mjs"
}

const [name = ""] = process.argv.slice(2)
const { connect } = await import(names[name])
const baseURL = `${process.env["ROUTER_URL"]}/v1`
const apiKey = process.env["TOKEN"]
const client = await connect(name, { baseURL, apiKey })

const same = (what, got, expected) => {
  const [one, other] = [JSON.stringify(got), JSON.stringify(expected)]
  if (one !== other) throw new Error(`${what} is ${one}, not ${other}`)
}

const calls = [
  ["weather", { city: "Paris" }],
  ["weather", { city: "Rome" }]
]

const fails =
  (status, model, key = apiKey) =>
  async () => {
    const { isOwnType, status: got, ...error } = await client.failure(model, key)
    same("status", got, status)
    if (!isOwnType) throw new Error(`the error is ${error.name}, which is not the type that the client has for it`)
  }

const tools = (model, stream) => async () => same("calls", await client.tools(model, stream), calls)

const trials = {
  models:
    client.models &&
    (async () => {
      const ids = await client.models()
      if (!ids.includes("fine")) throw new Error(`the list is ${ids}`)
    }),
  whole: async () => same("text", await client.whole("fine"), "hello there"),
  stream: async () => {
    const pieces = (await client.stream("fine")).filter((piece) => piece !== "")
    same("pieces", pieces, ["hello ", "there"])
  },
  "tool calls, whole": tools("tools", false),
  "tool calls, whole, without ids": tools("tools-no-ids", false),
  "tool calls, streamed": tools("tools", true),
  "tool calls, streamed, without ids": tools("tools-no-ids", true),
  "tool calls, streamed, all under index 0": tools("tools-one-index", true),
  "error 400": fails(400, "rejected"),
  "error 401": fails(401, "fine", "not-a-token"),
  "error 403": fails(403, "forbidden"),
  abort: () => client.abort("endless")
}

for (const [trial, run] of Object.entries(trials)) {
  const report = (verdict, detail = "") => console.log(JSON.stringify({ trial, verdict, detail }))
  if (run === undefined) {
    report("not offered")
    continue
  }
  try {
    await run()
    report("passed")
  } catch (error) {
    report("failed", error instanceof Error ? `${error.name}: ${error.message}` : String(error))
  }
}
process.exit(0)
