import * as Net from "node:net"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { type ListenOptions, listen } from "../../../src/platform/http/Listener.ts"
import { untilClosed } from "../../support/ClosedPort.ts"
import { connected, get, held, options, portOf } from "../../support/platform/RawConnection.ts"

describe("listen", () => {
  it.scopedLive("ends pipelined requests whose client left before the answer to the first", () =>
    Effect.gen(function* () {
      const counts = { began: 0, statuses: [] as number[] }
      const arrived = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const url = yield* listen({
        ...options(() => {
          if (counts.began === 3) Deferred.unsafeDone(arrived, Exit.void)
        }),
        metrics: {
          began: () => {
            counts.began += 1
          },
          ended: (_method, _route, status) => {
            if (counts.statuses.push(status) === 3) Deferred.unsafeDone(ended, Exit.void)
          }
        }
      })
      const socket = Net.connect(portOf(url), "127.0.0.1")
      socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(3))
      yield* Deferred.await(arrived)
      socket.destroy()
      yield* Deferred.await(ended)
      expect(counts.statuses).toEqual([499, 499, 499])
    })
  )

  it.scopedLive("finishes what is in flight before its scope has ended, and refuses new connections meanwhile", () =>
    Effect.gen(function* () {
      const { arrived, handler } = yield* held
      const scope = yield* Scope.make()
      const url = yield* listen(options((_, response) => handler(response))).pipe(Scope.extend(scope))
      const answer = yield* Effect.fork(get(url))
      const response = yield* arrived
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* untilClosed(portOf(url))
      response.end("done")
      const { status, body, headers } = yield* Fiber.join(answer)
      expect({ status, body, connection: headers.connection }).toEqual({
        status: 200,
        body: "done",
        connection: "close"
      })
      yield* Fiber.join(closing)
    })
  )

  it.scopedLive("answers 503 with connection: close to what still arrives on a kept-alive connection", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { arrived, handler } = yield* held
      const url = yield* listen(
        options((request, response) => {
          if (request.url === "/slow") handler(response)
          else response.end("ok")
        })
      ).pipe(Scope.extend(scope))
      const kept = yield* connected(url)
      yield* kept.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
      yield* kept.hears("ok")
      const holding = yield* Effect.fork(get(`${url}/slow`))
      const slow = yield* arrived
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* untilClosed(portOf(url))
      yield* kept.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
      const received = yield* kept.whole
      expect(received).toContain("HTTP/1.1 503 ")
      expect(received.toLowerCase()).toContain("connection: close")
      expect(received).toContain("shutting_down")
      slow.end("slow")
      expect((yield* Fiber.join(holding)).body).toBe("slow")
      yield* Fiber.join(closing)
    })
  )

  it.scopedLive("cuts off what does not finish within its time", () =>
    Effect.gen(function* () {
      const { arrived, handler } = yield* held
      const scope = yield* Scope.make()
      const url = yield* listen(options((_, response) => handler(response), "200 millis")).pipe(Scope.extend(scope))
      const answer = yield* Effect.fork(Effect.exit(get(url)))
      yield* arrived
      // It would not finish at all.
      yield* Effect.timeout(Scope.close(scope, Exit.void), "20 seconds")
      expect(Exit.isFailure(yield* Fiber.join(answer))).toBe(true)
    })
  )

  it.scopedLive("names the service, the address, the reason and the variable to set if a port cannot be opened", () =>
    Effect.gen(function* () {
      const url = yield* listen(options((_, response) => response.end()))
      const taken = yield* Effect.flip(listen({ ...options(() => {}), port: portOf(url) }))
      expect(taken.message).toContain("another program listens there")
      expect(taken.message).toContain("GATEKEEPER_PORT")
    })
  )
})

describe("a request that Node would answer by itself", () => {
  it.scopedLive("is refused as every other where it names no host: with its id, and a body", () =>
    Effect.gen(function* () {
      const client = yield* Effect.flatMap(listen(options((_, response) => response.end("ok"))), connected)
      yield* client.write("GET / HTTP/1.1\r\nx-request-id: hostless-1\r\n\r\n")
      const received = yield* client.whole
      expect(received).toMatch(/^HTTP\/1\.1 400 /)
      expect(received).toMatch(/^x-request-id: hostless-1\r$/im)
      const [, body = ""] = received.split("\r\n\r\n")
      expect(JSON.parse(body)).toMatchObject({ error: { code: "unreadable_request", request_id: "hostless-1" } })
    })
  )

  it.scopedLive.each([
    ["authorization: Bearer a", "Authorization: Bearer b", "the request has the header authorization more than once"],
    ["Host: b", "authorization: Bearer a", "the request has the header host more than once"],
    ["Transfer-Encoding: gzip", "Transfer-Encoding: chunked", "the Transfer-Encoding of a request may only be chunked"]
  ])("is refused where a proxy may read another request: %s, %s", ([one, other, message]) =>
    Effect.gen(function* () {
      let handled = 0
      const handler = options((_, response) => {
        handled += 1
        response.end("ok")
      })
      const client = yield* Effect.flatMap(listen(handler), connected)
      yield* client.write(`GET / HTTP/1.1\r\nhost: a\r\nx-request-id: twice\r\n${one}\r\n${other}\r\n\r\n0\r\n\r\n`)
      const received = yield* client.whole
      expect(received).toMatch(/^HTTP\/1\.1 400 /)
      const [, body = ""] = received.split("\r\n\r\n")
      expect(JSON.parse(body)).toMatchObject({
        error: {
          code: "unreadable_request",
          request_id: "twice",
          message
        }
      })
      expect(handled).toBe(0)
    })
  )

  it.scopedLive("is answered as every other, whatever it expects", () =>
    Effect.gen(function* () {
      const client = yield* Effect.flatMap(listen(options((_, response) => response.end("ok"))), connected)
      yield* client.write("GET / HTTP/1.1\r\nhost: a\r\nexpect: the-unexpected\r\nconnection: close\r\n\r\n")
      const received = yield* client.whole
      expect(received).toMatch(/^HTTP\/1\.1 200 /)
      expect(received).toMatch(/^x-request-id: /im)
    })
  )

  it.scopedLive("does not end up in an answer that has begun", () =>
    Effect.gen(function* () {
      const url = yield* listen(options((_, response) => response.write("the first half")))
      const client = yield* connected(url)
      yield* client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
      yield* client.hears("the first half")
      yield* client.write("this is not HTTP\r\n\r\n")
      expect((yield* client.whole).match(/HTTP\/1\.1 /g)).toHaveLength(1)
    })
  )

  it.scopedLive("is told what is wrong with it where nothing was answered yet", () =>
    Effect.gen(function* () {
      const client = yield* Effect.flatMap(listen(options(() => {})), connected)
      yield* client.write("this is not HTTP\r\n\r\n")
      const received = yield* client.whole
      expect(received).toMatch(/^HTTP\/1\.1 400 /)
      expect(received).toContain('"code":"unreadable_request"')
    })
  )
})

describe("what became of a request", () => {
  const counted = (drainFor?: Duration.DurationInput) => {
    const statuses: Array<number> = []
    const metrics = { began: () => {}, ended: (_: string, __: unknown, status: number) => void statuses.push(status) }
    const told = Effect.gen(function* () {
      while (statuses.length === 0) yield* Effect.sleep("5 millis")
      return statuses
    })
    const listening = (handler: ListenOptions["handler"]) => listen({ ...options(handler, drainFor), metrics })
    return { listening, told }
  }

  it.scopedLive("is counted as 499 where its client left before the answer was whole", () =>
    Effect.gen(function* () {
      const { listening, told } = counted()
      const url = yield* listening((_, response) => response.write("half"))
      yield* Effect.scoped(
        Effect.gen(function* () {
          const client = yield* connected(url)
          yield* client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
          yield* client.hears("half")
        })
      )
      expect(yield* told).toEqual([499])
    })
  )

  it.scopedLive("is counted as 503 where the server's end cut it off: its client did not leave", () =>
    Effect.gen(function* () {
      const { listening, told } = counted("50 millis")
      const scope = yield* Scope.make()
      const url = yield* listening((_, response) => response.write("half")).pipe(Scope.extend(scope))
      const client = yield* connected(url)
      yield* client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
      yield* client.hears("half")
      yield* Scope.close(scope, Exit.void)
      expect(yield* told).toEqual([503])
    })
  )
})
