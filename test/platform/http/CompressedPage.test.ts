import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { compressedOnce } from "../../../src/platform/http/CompressedPage.ts"
import { answerCors } from "../../../src/platform/http/Cors.ts"

/** The `Vary` of a page on a port that lets the pages of these origins in. */
const varyWith = (origins: ReadonlySet<string>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const page = yield* compressedOnce(Effect.succeed(HttpServerResponse.text("page")))
      const handler = yield* NodeHttpServer.makeHandler(page)
      const server = yield* Effect.acquireRelease(
        Effect.async<Http.Server>((resume) => {
          const made = Http.createServer((request, response) => {
            if (!answerCors(request, response, origins, () => undefined)) handler(request, response)
          })
          made.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
        }),
        (made) => Effect.sync(() => void made.close().closeAllConnections())
      )
      const { port } = server.address() as AddressInfo
      const get = () => Effect.promise(() => fetch(`http://127.0.0.1:${port}/`))
      yield* get()
      return (yield* get()).headers.get("vary")
    })
  )

it.live("a compressed page keeps the Vary of a port that lets other origins in", () =>
  Effect.gen(function* () {
    expect(yield* varyWith(new Set(["https://a.example"]))).toBe("Origin, accept-encoding")
    expect(yield* varyWith(new Set())).toBe("accept-encoding")
  })
)
