import { createServer } from "node:http"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"

/** One handler alone, on a port of its own until the scope ends: its URL. */
export const serving = (
  handle: (
    request: HttpServerRequest.HttpServerRequest
  ) => Effect.Effect<HttpServerResponse.HttpServerResponse, unknown>
) =>
  Effect.gen(function* () {
    // Interruptible, as the router of the services runs it.
    const answer = Effect.interruptible(Effect.flatMap(HttpServerRequest.HttpServerRequest, handle))
    const handler = yield* NodeHttpServer.makeHandler(answer)
    const server = yield* Effect.acquireRelease(
      Effect.sync(() => createServer(handler)),
      (server) => Effect.sync(() => server.close())
    )
    return yield* Effect.async<string>((resume) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed(`http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`))
      })
    })
  })
