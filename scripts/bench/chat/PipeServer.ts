import * as Http from "node:http"
import { pipeline } from "node:stream"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import { Agent, request as ask } from "undici"
import { endWithBench, serveBench } from "../../../test/support/BenchChild.ts"

/** The least that a proxy of chats does: asks the provider by undici and pipes the body of its answer. The word is its URL. */
const provider = process.argv[2] ?? ""

const dispatcher = new Agent({ connections: 256 })

const pipe = async (request: Http.IncomingMessage, response: Http.ServerResponse): Promise<void> => {
  const { body, headers, statusCode } = await ask(new URL(request.url ?? "/", provider), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: request,
    dispatcher
  })
  response.writeHead(statusCode, { "content-type": headers["content-type"] ?? "text/event-stream" })
  pipeline(body, response, (error) => {
    if (error !== undefined && error !== null) response.destroy()
  })
}

endWithBench()

Effect.gen(function* () {
  const server = Http.createServer((request, response) => {
    pipe(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined))
  })
  yield* serveBench(server)
}).pipe(NodeRuntime.runMain)
