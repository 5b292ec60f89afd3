import * as Http from "node:http"
import * as Net from "node:net"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { type ListenOptions, listen } from "../../../src/platform/http/Listener.ts"

const options = (handler: ListenOptions["handler"], drainFor: Duration.DurationInput = "2 seconds"): ListenOptions => ({
  service: "gatekeeper",
  host: "127.0.0.1",
  port: 0,
  drainFor: Duration.decode(drainFor),
  handler
})

const get = (url: string, agent?: Http.Agent) =>
  Effect.promise(
    () =>
      new Promise<{ status: number | undefined; headers: Http.IncomingHttpHeaders; body: string }>(
        (resolve, reject) => {
          Http.get(url, agent === undefined ? {} : { agent }, (response) => {
            let body = ""
            response.setEncoding("utf8")
            response.on("data", (chunk) => {
              body += chunk
            })
            response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, body }))
          }).on("error", reject)
        }
      )
  )

describe("listen", () => {
  it.scopedLive("finishes what is in flight before its scope has ended, and refuses new connections meanwhile", () =>
    Effect.gen(function* () {
      const arrived = yield* Deferred.make<void>()
      const scope = yield* Scope.make()
      const url = yield* listen(
        options((_, response) => {
          Deferred.unsafeDone(arrived, Exit.void)
          setTimeout(() => response.end("done"), 300)
        })
      ).pipe(Scope.extend(scope))
      const answer = yield* Effect.fork(get(url))
      yield* Deferred.await(arrived)
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* Effect.sleep("100 millis")
      const refused = yield* Effect.exit(get(url))
      expect(Exit.isFailure(refused)).toBe(true)
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
      const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
      const scope = yield* Scope.make()
      const slow = yield* Deferred.make<void>()
      const url = yield* listen(
        options((request, response) => {
          if (request.url !== "/slow") return void response.end("ok")
          Deferred.unsafeDone(slow, Exit.void)
          setTimeout(() => response.end("slow"), 400)
        })
      ).pipe(Scope.extend(scope))
      expect((yield* get(url, agent)).body).toBe("ok")
      const holding = yield* Effect.fork(get(`${url}/slow`))
      yield* Deferred.await(slow)
      // The kept-alive connection has a request half sent, so closing the idle ones does not touch it.
      const port = Number(new URL(url).port)
      const socket = Net.connect(port, "127.0.0.1")
      let received = ""
      socket.setEncoding("utf8").on("data", (chunk) => {
        received += chunk
      })
      socket.write("GET / HTTP/1.1\r\nhost: a\r\n")
      yield* Effect.sleep("50 millis")
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* Effect.sleep("100 millis")
      socket.write("\r\n")
      yield* Effect.sleep("100 millis")
      expect(received).toContain("503")
      expect(received.toLowerCase()).toContain("connection: close")
      expect(received).toContain("shutting_down")
      yield* Fiber.join(holding)
      yield* Fiber.join(closing)
      agent.destroy()
    })
  )

  it.scopedLive("cuts off what does not finish within its time", () =>
    Effect.gen(function* () {
      const arrived = yield* Deferred.make<void>()
      const scope = yield* Scope.make()
      const url = yield* listen(options(() => Deferred.unsafeDone(arrived, Exit.void), "200 millis")).pipe(
        Scope.extend(scope)
      )
      const answer = yield* Effect.fork(Effect.exit(get(url)))
      yield* Deferred.await(arrived)
      const [took] = yield* Effect.timed(Scope.close(scope, Exit.void))
      expect(Duration.toMillis(took)).toBeLessThan(1_500)
      expect(Exit.isFailure(yield* Fiber.join(answer))).toBe(true)
    })
  )

  it.scopedLive("says who cannot listen where, why, and which variable mends it", () =>
    Effect.gen(function* () {
      const url = yield* listen(options((_, response) => response.end()))
      const taken = yield* Effect.flip(listen({ ...options(() => {}), port: Number(new URL(url).port) }))
      expect(taken.message).toContain("another program listens there")
      expect(taken.message).toContain("GATEKEEPER_PORT")
    })
  )
})
