import { createServer } from "node:http"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpApp from "@effect/platform/HttpApp"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import { LocalOperations } from "../../src/platform/http/LocalCalls.ts"

const servingApp = <R>(app: HttpApp.Default<unknown, R>) =>
  Effect.gen(function* () {
    // Interruptible, as the router of the services runs it.
    const handler = yield* NodeHttpServer.makeHandler(Effect.interruptible(app))
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

/** Serves one handler on a port of its own until the scope ends; returns its URL. */
export const serving = (
  handle: (
    request: HttpServerRequest.HttpServerRequest
  ) => Effect.Effect<HttpServerResponse.HttpServerResponse, unknown>
) => servingApp(Effect.flatMap(HttpServerRequest.HttpServerRequest, handle))

/** Serves routes that `audited` registers, on a port of their own until the scope ends; returns its URL. */
export const servingRoutes = <E, R>(routes: Effect.Effect<void, E, R>) =>
  Effect.zipRight(routes, Effect.flatMap(HttpApiBuilder.Router.router, servingApp)).pipe(
    Effect.provide([HttpApiBuilder.Router.Live, LocalOperations.layer, NodeHttpServer.layerContext])
  )
