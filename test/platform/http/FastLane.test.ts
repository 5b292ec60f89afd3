import * as Http from "node:http"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Logger from "effect/Logger"
import { jsonResponse, noFields } from "../../../src/platform/http/ErrorResponse.ts"
import { type JsonOperation, makeFastLane } from "../../../src/platform/http/FastLane.ts"

/** Serves one operation on `/ask`; 421 shows that the fast lane left a request to the slow one. */
const served = (operation: JsonOperation) =>
  Effect.gen(function* () {
    const lane = yield* makeFastLane("gatekeeper", new Map([["/ask", operation]]), noFields)
    const server = yield* Effect.acquireRelease(
      Effect.sync(() =>
        Http.createServer((request, response) => {
          request.headers["x-request-id"] = "request-1"
          if (!lane(request, response)) response.writeHead(421).end()
        })
      ),
      (server) =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    )
    yield* Effect.async<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
    const address = server.address()
    return `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`
  })

const ask = (url: string, init: RequestInit = {}) =>
  Effect.promise(async (signal) => {
    const response = await fetch(url, { method: "POST", body: "{}", signal, ...init })
    return { status: response.status, text: await response.text() }
  })

describe("The fast lane", () => {
  it.scopedLive("takes a POST of exactly the path, without a query, and leaves everything else to the slow lane", () =>
    Effect.gen(function* () {
      const url = yield* served(() => Effect.succeed(jsonResponse("1")))
      const status = (path: string, init?: RequestInit) => Effect.map(ask(`${url}${path}`, init), (one) => one.status)
      expect(yield* status("/ask")).toBe(200)
      for (const path of ["/Ask", "/ask/", "/ask?a=b", "//ask", "/%61sk", "/other"]) {
        expect([path, yield* status(path)]).toEqual([path, 421])
      }
      expect(yield* status("/ask", { method: "PUT" })).toBe(421)
      expect(yield* status("/ask", { method: "GET", body: null })).toBe(421)
    })
  )

  it.scopedLive("answers a defect with 500 and does not send its cause", () =>
    Effect.gen(function* () {
      const url = yield* served(() => Effect.dieMessage("secret words"))
      const { status, text } = yield* ask(`${url}/ask`)
      expect(status).toBe(500)
      expect(JSON.parse(text)).toMatchObject({ error: { code: "internal_error", request_id: "request-1" } })
      expect(text).not.toContain("secret")
    })
  )

  it.scopedLive("answers 500 where the operation or its response throws, and 503 where it is interrupted inside", () =>
    Effect.gen(function* () {
      const throwing = yield* served(() => {
        throw new Error("secret words")
      })
      expect((yield* ask(`${throwing}/ask`)).status).toBe(500)
      const badHeader = yield* served(() =>
        Effect.delay(Effect.succeed(jsonResponse("1", { headers: { "x-a": "\n" } })), "1 millis")
      )
      expect((yield* ask(`${badHeader}/ask`)).status).toBe(500)
      const interrupted = yield* served(() => Effect.interrupt)
      expect((yield* ask(`${interrupted}/ask`)).status).toBe(503)
    })
  )

  it.scopedLive("runs no fiber where the operation answers at once, and one where it does not", () =>
    Effect.gen(function* () {
      const atOnce: JsonOperation["atOnce"] = ({ body, requestId }, { headers }) => {
        if (Either.isLeft(body)) return undefined
        if (headers["x-fails"] !== undefined) throw new Error("secret words")
        return jsonResponse(
          JSON.stringify(["at once", requestId]),
          headers["x-bad"] ? { headers: { "x-a": "\n" } } : {}
        )
      }
      const url = yield* served(Object.assign(() => Effect.succeed(jsonResponse('"on a fiber"')), { atOnce }))
      expect((yield* ask(`${url}/ask`)).text).toBe('["at once","request-1"]')
      expect((yield* ask(`${url}/ask`, { body: "no JSON" })).text).toBe('"on a fiber"')
      for (const name of ["x-fails", "x-bad"]) {
        const { status, text } = yield* ask(`${url}/ask`, { headers: { [name]: "1" } })
        expect([name, status, JSON.parse(text).error.code]).toEqual([name, 500, "internal_error"])
        expect(text).not.toContain("secret")
      }
    })
  )

  it.scopedLive("logs a defect of an operation that was interrupted", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const logged = yield* Deferred.make<string>()
      const logger = Logger.map(Logger.logfmtLogger, (line) => Deferred.unsafeDone(logged, Effect.succeed(line)))
      const url = yield* served(() =>
        Deferred.succeed(begun, undefined).pipe(
          Effect.zipRight(Effect.never),
          Effect.onInterrupt(() => Effect.dieMessage("the withdrawal failed"))
        )
      ).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
      const controller = new AbortController()
      const asked = fetch(`${url}/ask`, { method: "POST", body: "{}", signal: controller.signal }).catch(() => "left")
      yield* Deferred.await(begun)
      controller.abort()
      expect(yield* Deferred.await(logged)).toContain("the withdrawal failed")
      expect(yield* Effect.promise(() => asked)).toBe("left")
    })
  )

  it.scopedLive("reads the rest of a body over the limit, so that the connection serves the next request", () =>
    Effect.gen(function* () {
      const url = yield* served(({ body }) =>
        Effect.succeed(jsonResponse("1", { status: Either.isLeft(body) ? 413 : 200 }))
      )
      const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
      const post = (body: string) =>
        Effect.async<{ readonly status: number | undefined; readonly reused: boolean }>((resume) => {
          const request = Http.request(`${url}/ask`, { method: "POST", agent }, (response) => {
            response
              .resume()
              .once("end", () => resume(Effect.succeed({ status: response.statusCode, reused: request.reusedSocket })))
          })
          request.end(body)
        })
      expect(yield* post("a".repeat(200_000))).toEqual({ status: 413, reused: false })
      expect(yield* post("{}")).toEqual({ status: 200, reused: true })
      agent.destroy()
    })
  )

  it.scopedLive("interrupts the operation when the client hangs up", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const interrupted = yield* Deferred.make<void>()
      const url = yield* served(() =>
        Deferred.succeed(begun, undefined).pipe(
          Effect.zipRight(Effect.never),
          Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
        )
      )
      const controller = new AbortController()
      const asked = fetch(`${url}/ask`, { method: "POST", body: "{}", signal: controller.signal }).catch(() => "left")
      yield* Deferred.await(begun)
      controller.abort()
      yield* Deferred.await(interrupted)
      expect(yield* Effect.promise(() => asked)).toBe("left")
    })
  )
})
