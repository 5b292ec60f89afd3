import * as Http from "node:http"
import * as Net from "node:net"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ListenOptions } from "../../../src/platform/http/Listener.ts"

export const options = (
  handler: ListenOptions["handler"],
  drainFor: Duration.DurationInput = "1 minute"
): ListenOptions => ({
  service: "gatekeeper",
  host: "127.0.0.1",
  port: 0,
  drainFor: Duration.decode(drainFor),
  handler
})

export const get = (url: string) =>
  Effect.promise(
    () =>
      new Promise<{ status: number | undefined; headers: Http.IncomingHttpHeaders; body: string }>(
        (resolve, reject) => {
          Http.get(url, (response) => {
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

export const portOf = (url: string) => Number(new URL(url).port)

/** A connection on which bytes are sent as they are. */
export const connected = (url: string) =>
  Effect.gen(function* () {
    const closed = yield* Deferred.make<void>()
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() => Net.connect(portOf(url), "127.0.0.1")),
      (socket) => Effect.sync(() => socket.destroy())
    )
    let received = ""
    socket.setEncoding("utf8").on("data", (chunk) => {
      received += chunk
    })
    socket.on("error", () => {}).once("close", () => Deferred.unsafeDone(closed, Exit.void))
    return {
      write: (text: string) => Effect.sync(() => socket.write(text)),
      /** Waits until `words` have come. */
      hears: (words: string) =>
        Effect.gen(function* () {
          while (!received.includes(words)) yield* Effect.sleep("5 millis")
        }),
      /** All that came until the other end closed. */
      whole: Effect.map(Deferred.await(closed), () => received)
    }
  })

/** A handler that answers when it is told to. */
export const held = Effect.gen(function* () {
  const arrived = yield* Deferred.make<Http.ServerResponse>()
  return {
    handler: (response: Http.ServerResponse) => Deferred.unsafeDone(arrived, Exit.succeed(response)),
    arrived: Deferred.await(arrived)
  }
})
