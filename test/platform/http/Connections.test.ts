import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type ListenOptions, listen } from "../../../src/platform/http/Listener.ts"
import { connected, get, held, options } from "../../support/platform/RawConnection.ts"

describe("a port with as many connections as it may have", () => {
  const crowded = (handler: ListenOptions["handler"], maximumConnections: number) =>
    listen({ ...options(handler), maximumConnections })
  const begin = "GET /kept HTTP/1.1\r\nhost: a\r\n\r\n"

  it.scopedLive("closes the one that was idle the longest for a new client, and none with a request in flight", () =>
    Effect.gen(function* () {
      const { arrived, handler } = yield* held
      const url = yield* crowded((request, response) => {
        if (request.url === "/kept") handler(response)
        else response.end("new")
      }, 4)
      const waiting = yield* connected(url)
      yield* waiting.write(begin)
      const response = yield* arrived
      const used = yield* connected(url)
      const idle = yield* connected(url)
      yield* connected(url)
      yield* used.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
      yield* used.hears("new")
      expect((yield* get(url)).body).toBe("new")
      expect(yield* idle.whole).toBe("")
      yield* Effect.sync(() => response.end("kept"))
      yield* waiting.hears("kept")
      yield* used.write("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
      expect((yield* used.whole).match(/HTTP\/1\.1 200/g)).toHaveLength(2)
    })
  )

  it.scopedLive("refuses a new client where every connection has a request in flight", () =>
    Effect.gen(function* () {
      const { arrived, handler } = yield* held
      const url = yield* crowded((_, response) => handler(response), 1)
      const waiting = yield* connected(url)
      yield* waiting.write(begin)
      const response = yield* arrived
      const refused = yield* get(url)
      expect(refused).toMatchObject({ status: 503, headers: { "retry-after": "1" } })
      expect(refused.body).toContain('"code":"too_many_connections"')
      yield* Effect.sync(() => response.end("kept"))
      yield* waiting.hears("kept")
    })
  )
})

describe("a body that does not end", () => {
  it.scopedLive("is answered 408 once its time has passed, and its connection is closed", () =>
    Effect.gen(function* () {
      const url = yield* listen({ ...options((request) => request.resume()), requestTimeout: Duration.millis(200) })
      const client = yield* connected(url)
      yield* client.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf")
      expect(yield* client.whole).toMatch(/^HTTP\/1\.1 408 /)
    })
  )
})
