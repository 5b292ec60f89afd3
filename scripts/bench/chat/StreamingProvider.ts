import * as Http from "node:http"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import { endWithBench, serveBench } from "../../../test/support/BenchChild.ts"

/** A provider of models that streams the same answer to every request. StreamTargets starts it. */

const chunks = 20

/** Between two chunks: each is a write of its own, as those of a model are. */
const pauseMillis = 1

const chunkOf = (delta: object, finishReason: string | null): string =>
  `data: ${JSON.stringify({
    id: "chatcmpl-bench",
    object: "chat.completion.chunk",
    created: 1_750_000_000,
    model: "bench",
    choices: [{ index: 0, delta, finish_reason: finishReason }]
  })}\n\n`

const texts: ReadonlyArray<string> = [
  chunkOf({ role: "assistant", content: "" }, null),
  ...Array.from({ length: chunks - 2 }, (_, index) => chunkOf({ content: `word ${index} ` }, null)),
  `${chunkOf({}, "stop")}data: [DONE]\n\n`
]

const answer = (response: Http.ServerResponse): void => {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" })
  let next = 0
  const write = (): void => {
    const text = texts[next]
    next += 1
    if (text === undefined || response.destroyed) return
    if (next === texts.length) response.end(text)
    else {
      response.write(text)
      setTimeout(write, pauseMillis)
    }
  }
  write()
}

endWithBench()

Effect.gen(function* () {
  const server = Http.createServer((request, response) => {
    request.resume()
    request.once("end", () => answer(response))
  })
  yield* serveBench(server)
}).pipe(NodeRuntime.runMain)
