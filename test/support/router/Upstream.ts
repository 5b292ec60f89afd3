import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import * as Effect from "effect/Effect"

export interface UpstreamRequest {
  readonly headers: Http.IncomingHttpHeaders
  readonly body: Readonly<Record<string, unknown>>
}

export interface Upstream {
  /** With `/v1`, as a provider's `base_url`. */
  readonly baseUrl: string
  /** In the order in which they came. */
  readonly requests: ReadonlyArray<UpstreamRequest>
  /** Answers whose client went away before they were whole. */
  readonly hangUps: () => number
}

export type Script = (request: UpstreamRequest, response: Http.ServerResponse) => void

/** A real server with OpenAI's address and whatever behaviour a test gives it. */
export const upstream = (script: Script) =>
  Effect.acquireRelease(
    Effect.async<Upstream & { readonly server: Http.Server }>((resume) => {
      const requests: Array<UpstreamRequest> = []
      let hangUps = 0
      const server = Http.createServer((message, response) => {
        let text = ""
        message.setEncoding("utf8").on("data", (piece: string) => {
          text += piece
        })
        message.on("end", () => {
          const request = { headers: message.headers, body: JSON.parse(text) as Record<string, unknown> }
          requests.push(request)
          response.once("close", () => {
            if (!response.writableEnded) hangUps += 1
          })
          script(request, response)
        })
      })
      server.listen({ host: "127.0.0.1", port: 0 }, () => {
        const { port } = server.address() as AddressInfo
        resume(Effect.succeed({ server, baseUrl: `http://127.0.0.1:${port}/v1`, requests, hangUps: () => hangUps }))
      })
    }),
    ({ server }) =>
      Effect.async<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )

export const delta = (content: string, finishReason: string | null = null) =>
  JSON.stringify({
    id: "upstream-id",
    object: "chat.completion.chunk",
    created: 1,
    model: "upstream-name",
    choices: [{ index: 0, delta: { content }, finish_reason: finishReason }]
  })

export const usageChunk = JSON.stringify({
  id: "upstream-id",
  object: "chat.completion.chunk",
  created: 1,
  model: "upstream-name",
  choices: [],
  usage: { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 }
})

export const completion = (content: string) => ({
  id: "upstream-id",
  object: "chat.completion",
  created: 1,
  model: "upstream-name",
  choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }],
  usage: { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 }
})

export const events = (...data: ReadonlyArray<string>) => data.map((one) => `data: ${one}\n\n`).join("")

/** Answers with this stream at once. */
export const streaming =
  (text: string): Script =>
  (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" })
    response.end(text)
  }

export const answering =
  (status: number, body: unknown, headers: Http.OutgoingHttpHeaders = {}): Script =>
  (_, response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers })
    response.end(typeof body === "string" ? body : JSON.stringify(body))
  }
