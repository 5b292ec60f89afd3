import { promisify } from "node:util"
import { gzip } from "node:zlib"
import * as HttpBody from "@effect/platform/HttpBody"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
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

/** Makes a page that never changes at its first request, and its compressed form too, for clients that accept gzip. */
export const compressedOnce = <E, R>(make: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
  Effect.gen(function* () {
    const plain = yield* Effect.cached(Effect.map(make, HttpServerResponse.setHeader("vary", "accept-encoding")))
    const small = yield* Effect.cached(Effect.flatMap(plain, compressed))
    return Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) =>
      acceptsGzip(headers["accept-encoding"]) ? small : plain
    )
  })
