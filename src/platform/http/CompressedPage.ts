import { promisify } from "node:util"
import { gzip } from "node:zlib"
import * as HttpBody from "@effect/platform/HttpBody"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Effect from "effect/Effect"

/** Whether an `Accept-Encoding` (RFC 9110, section 12.5.3) names gzip without the weight 0. */
const acceptsGzip = (header = ""): boolean => /(^|[\s,])gzip\s*($|,|;\s*q\s*=\s*(1|0\.\d*[1-9]))/i.test(header)

const compress = promisify(gzip)

const compressed = (page: HttpServerResponse.HttpServerResponse) =>
  page.body._tag === "Uint8Array"
    ? Effect.map(
        Effect.promise(() => compress(page.body._tag === "Uint8Array" ? page.body.body : "")),
        (bytes) =>
          HttpServerResponse.setHeader(
            HttpServerResponse.setBody(page, HttpBody.uint8Array(bytes, page.body.contentType)),
            "content-encoding",
            "gzip"
          )
      )
    : Effect.succeed(page)

/** Adds a field to the `Vary` of an answer, where the port names `Origin` for the pages of other origins. */
const addVary = (request: HttpServerRequest.HttpServerRequest, field: string) => {
  const before = NodeHttpServerRequest.toServerResponse(request).getHeader("vary")
  return HttpServerResponse.setHeader("vary", before === undefined ? field : `${before}, ${field}`)
}

/** Makes a page that never changes at its first request, and its compressed form too, for clients that accept gzip. */
export const compressedOnce = <E, R>(make: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
  Effect.gen(function* () {
    const plain = yield* Effect.cached(make)
    const small = yield* Effect.cached(Effect.flatMap(plain, compressed))
    return Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
      Effect.map(acceptsGzip(request.headers["accept-encoding"]) ? small : plain, addVary(request, "accept-encoding"))
    )
  })
