import * as Http from "node:http"
import * as Net from "node:net"
import * as Zlib from "node:zlib"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readJson } from "../../../src/platform/http/RequestDecoding.ts"

/** A server that answers with what `readJson` made of the body. */
const echo = Effect.gen(function* () {
  const handler = yield* NodeHttpServer.makeHandler(
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => readJson(request, 100)).pipe(
      Effect.match({
        onSuccess: (body) => ({ body }),
        onFailure: ({ _tag, message }) => ({ _tag, message })
      }),
      Effect.map((answer) => HttpServerResponse.unsafeJson(answer))
    )
  )
  const server = Http.createServer(handler)
  yield* Effect.acquireRelease(
    Effect.async<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () => Effect.sync(() => server.closeAllConnections()).pipe(Effect.zipRight(Effect.sync(() => server.close())))
  )
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
})

const post = (port: number, body: string | Uint8Array, headers: Record<string, string> = {}) =>
  Effect.promise(async () => (await fetch(`http://127.0.0.1:${port}`, { method: "POST", body, headers })).json())

describe("readJson", () => {
  it.scopedLive("reads JSON whatever the content type says", () =>
    Effect.gen(function* () {
      const port = yield* echo
      expect(yield* post(port, '{"a":[1,null]}', { "content-type": "text/plain" })).toEqual({ body: { a: [1, null] } })
      expect(yield* post(port, '"é😀"')).toEqual({ body: "é😀" })
    })
  )

  it.scopedLive("tells an empty body, a broken one and one that is not UTF-8 apart, without repeating it", () =>
    Effect.gen(function* () {
      const port = yield* echo
      expect(yield* post(port, "")).toMatchObject({
        _tag: "InvalidRequest",
        message: expect.stringContaining("empty")
      })
      expect(yield* post(port, new Uint8Array([0x22, 0xff, 0x22]))).toMatchObject({
        message: expect.stringContaining("UTF-8")
      })
      const broken = yield* post(port, '{"password": hunter2}')
      expect(broken).toMatchObject({ _tag: "InvalidRequest" })
      expect(JSON.stringify(broken)).not.toContain("hunter2")
    })
  )

  it.scopedLive("decodes what Content-Encoding names, in any order and case", () =>
    Effect.gen(function* () {
      const port = yield* echo
      const json = '{"a":"é😀"}'
      for (const [encoding, body] of [
        ["gzip", Zlib.gzipSync(json)],
        ["X-GZIP", Zlib.gzipSync(json)],
        ["br", Zlib.brotliCompressSync(json)],
        ["deflate", Zlib.deflateSync(json)],
        ["deflate", Zlib.deflateRawSync(json)],
        ["br, gzip", Zlib.gzipSync(Zlib.brotliCompressSync(json))],
        ["identity", Buffer.from(json)],
        ["", Buffer.from(json)]
      ] as const) {
        const answer = yield* post(port, body, { "content-encoding": encoding })
        expect([encoding, answer]).toEqual([encoding, { body: JSON.parse(json) }])
      }
      expect(yield* post(port, "", { "content-encoding": "gzip" })).toMatchObject({
        message: expect.stringContaining("empty")
      })
    })
  )

  it.scopedLive(
    "refuses a body that is not what Content-Encoding says, and one that decodes to more than the limit",
    () =>
      Effect.gen(function* () {
        const port = yield* echo
        const json = JSON.stringify("x".repeat(98))
        for (const [encoding, compress] of [
          ["gzip", Zlib.gzipSync],
          ["br", Zlib.brotliCompressSync],
          ["deflate", Zlib.deflateSync]
        ] as const) {
          const headers = { "content-encoding": encoding }
          expect(yield* post(port, compress(json), headers)).toEqual({ body: "x".repeat(98) })
          for (const size of [101, 50_000]) {
            expect(yield* post(port, compress(" ".repeat(size)), headers)).toMatchObject({ _tag: "BodyTooLarge" })
          }
          const broken = { _tag: "InvalidRequest", message: expect.stringContaining(`is not ${encoding}`) }
          expect(yield* post(port, "{}", headers)).toMatchObject(broken)
          expect(yield* post(port, compress(json).subarray(0, 10), headers)).toMatchObject(broken)
        }
        const twice = Zlib.gzipSync(Zlib.gzipSync(" ".repeat(20_000)))
        expect(yield* post(port, twice, { "content-encoding": "gzip, gzip" })).toMatchObject({ _tag: "BodyTooLarge" })
      })
  )

  it.scopedLive("refuses a body over the limit, whether its length is announced or not, and goes on serving", () =>
    Effect.gen(function* () {
      const port = yield* echo
      expect(yield* post(port, JSON.stringify("x".repeat(98)))).toEqual({ body: "x".repeat(98) })
      expect(yield* post(port, JSON.stringify("x".repeat(99)))).toMatchObject({ _tag: "BodyTooLarge" })
      const chunked = yield* Effect.async<string>((resume) => {
        const socket = Net.connect(port, "127.0.0.1")
        let received = ""
        socket.setEncoding("utf8").on("data", (chunk) => {
          received += chunk
          if (received.includes("TooLarge")) {
            socket.destroy()
            resume(Effect.succeed(received))
          }
        })
        socket.write("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        for (let i = 0; i < 5; i++) socket.write(`32\r\n${"x".repeat(50)}\r\n`)
      })
      expect(chunked).toContain("BodyTooLarge")
      expect(yield* post(port, "1")).toEqual({ body: 1 })
    })
  )
})
