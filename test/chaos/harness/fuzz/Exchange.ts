import * as Http from "node:http"
import * as Effect from "effect/Effect"
import type { Input } from "./Inputs.ts"
import type { Answer } from "./Verdict.ts"

/** Longer is a hang, on a machine that has other work too. */
const patienceMillis = 10_000

/** Sends a request as it is, its target without any correction; the reason where no answer came. */
export const exchange = (agent: Http.Agent, input: Input): Effect.Effect<Answer | string> =>
  Effect.async((resume) => {
    const { hostname, port } = new URL(input.endpoint.url)
    const { body } = input
    let request: Http.ClientRequest
    try {
      request = Http.request(
        {
          agent,
          hostname,
          port,
          method: input.method,
          path: input.target,
          headers: { ...input.headers, ...(body === undefined ? {} : { "content-length": body.length }) }
        },
        (response) => {
          const chunks: Array<Buffer> = []
          const isFeed = input.method === "GET" && response.headers["content-type"]?.startsWith("text/event-stream")
          response.on("data", (chunk: Buffer) => {
            chunks.push(chunk)
            // The feed of stops has no end of its own.
            if (isFeed === true) response.destroy()
          })
          if (isFeed === true) response.once("close", () => response.emit("end"))
          response.once("error", (error) => resume(Effect.succeed(`the answer broke off: ${error.message}`)))
          response.once("end", () => {
            const text = Buffer.concat(chunks).toString("utf8")
            resume(Effect.succeed({ status: response.statusCode ?? 0, headers: response.headers, text }))
          })
        }
      )
    } catch (error) {
      return resume(Effect.die(error))
    }
    request.setTimeout(patienceMillis, () => request.destroy(new Error(`no answer within ${patienceMillis} ms`)))
    request.once("error", (error) => resume(Effect.succeed(`no answer: ${error.message}`)))
    request.end(body)
  })
