import type * as Http from "node:http"
import {
  answering,
  completion,
  delta,
  events,
  type Script,
  streaming,
  usageChunk
} from "../../test/support/router/Upstream.ts"

/** The calls of the tool, each in OpenAI's form. */
const calls = ["Paris", "Rome"].map((city, index) => ({
  id: `call-${index}`,
  type: "function",
  function: { name: "weather", arguments: JSON.stringify({ city }) }
}))

const chunk = (delta: object, finish_reason: string | null = null) =>
  JSON.stringify({
    id: "upstream-id",
    object: "chat.completion.chunk",
    created: 1,
    model: "upstream-name",
    choices: [{ index: 0, delta, finish_reason }]
  })

/** A call in three pieces, as models send them: the name, then the arguments. */
const piecesOf = ({ function: { arguments: text, name }, ...call }: (typeof calls)[number], index: number) => {
  const go = (piece: string) => chunk({ tool_calls: [{ index, function: { arguments: piece } }] })
  return [
    chunk({ tool_calls: [{ index, ...call, function: { name, arguments: "" } }] }),
    go(text.slice(0, 5)),
    go(text.slice(5))
  ]
}

const streamedCalls = (indexOf: (place: number) => number, idOf: (id: string) => string) =>
  events(
    chunk({ role: "assistant", content: null }),
    ...calls.flatMap((call, i) => piecesOf({ ...call, id: idOf(call.id) }, indexOf(i))),
    chunk({}, "tool_calls"),
    usageChunk,
    "[DONE]"
  )

const wholeCalls = (idOf: (id: string) => string) => ({
  ...completion(""),
  choices: [
    {
      index: 0,
      message: { role: "assistant", content: null, tool_calls: calls.map((call) => ({ ...call, id: idOf(call.id) })) },
      finish_reason: "tool_calls"
    }
  ]
})

/** Pieces without an end, until the client closes the connection. */
const endless = (response: Http.ServerResponse): void => {
  response.writeHead(200, { "content-type": "text/event-stream" })
  const timer = setInterval(() => response.write(events(delta("again "))), 20)
  response.once("close", () => clearInterval(timer))
}

const hasResults = (body: Readonly<Record<string, unknown>>): boolean =>
  JSON.stringify(body["messages"]).includes('"tool"')

const text = (words: ReadonlyArray<string>, isStream: boolean): Script =>
  isStream
    ? streaming(events(...words.map((word) => delta(word)), delta("", "stop"), usageChunk, "[DONE]"))
    : answering(200, completion(words.join("")))

const same = (id: string): string => id
const none = (): string => ""

/** The script of the trials' provider. Each model is a behaviour. */
export const trialProvider: Script = (request, response) => {
  const { model, stream } = request.body
  const isStream = stream === true
  const answer = (streamed: string, whole: object): Script => (isStream ? streaming(streamed) : answering(200, whole))
  const behaviour = (): Script => {
    if (hasResults(request.body)) return text(["done"], isStream)
    switch (model) {
      case "tools":
        return answer(
          streamedCalls((place) => place, same),
          wholeCalls(same)
        )
      case "tools-no-ids":
        return answer(
          streamedCalls((place) => place, none),
          wholeCalls(none)
        )
      case "tools-one-index":
        return answer(
          streamedCalls(() => 0, same),
          wholeCalls(same)
        )
      case "rejected":
        return answering(400, { error: { message: "no", type: "invalid_request_error" } })
      default:
        return text(["hello ", "there"], isStream)
    }
  }
  if (model === "endless") return endless(response)
  behaviour()(request, response)
}

/** models.yaml of the trials: the shells of L1 are those that the ghost of the trials may use. */
export const trialModels = (baseUrl: string): string => {
  const shells = ["fine", "tools", "tools-no-ids", "tools-one-index", "rejected", "endless"]
  return [
    "providers:",
    `  fake: { kind: openai-compatible, base_url: "${baseUrl}" }`,
    "shells:",
    ...shells.map((name) => `  ${name}: { tier: L1, provider: fake }`),
    "  forbidden: { tier: L3, provider: fake }",
    ""
  ].join("\n")
}
